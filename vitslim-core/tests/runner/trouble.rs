//! Folders and disks that cannot be used: a clear sentence, and the run goes on when that is mended.

use std::path::Path;
use std::process::Output;

use super::resume::{Reference, metrics, reference, reference_with_all_checkpoints};
use super::workspace::{TINY, VITSLIM, Workspace, json, said};

/// The run has failed, in words, and left whole what was there.
#[track_caller]
fn assert_failed(output: &Output, parts: &[&str]) {
    let printed = said(output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for part in parts {
        assert!(printed.contains(part), "no `{part}` in: {printed}");
    }
    assert_eq!(printed.matches("(os error").count(), 1, "what the system says is said once: {printed}");
    assert!(!printed.contains("panicked") && !printed.contains(".tmp"), "{printed}");
}

/// Size of the largest file in a folder.
fn largest(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().metadata().unwrap().len()).max().unwrap()
}

/// Runs vitslim where no file may be larger than `blocks` blocks of 512 bytes: as on a full disk, a write fails midway.
fn limited(workspace: &Workspace, reference: &Reference, blocks: u64) -> Output {
    let script = format!("ulimit -f {blocks}; exec \"$0\" \"$@\"");
    let file = reference.file.to_str().unwrap();
    workspace.command("sh", &["-c", &script, VITSLIM, "run", file]).env("NO_COLOR", "1").output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_checkpoint_that_cannot_be_written_stops_the_run_which_goes_on_later() {
    let reference = reference_with_all_checkpoints();
    let folder = "runs/tiny/seed=3";
    let checkpoints = reference.workspace.path(folder).join("checkpoints");
    let blocks = largest(&checkpoints.join("pretrain")).div_ceil(512);
    assert!(largest(&checkpoints.join("search")) > blocks * 512, "a search saves masks too");

    let workspace = Workspace::new();
    let output = limited(&workspace, &reference, blocks);
    assert_failed(
        &output,
        &[
            "search was stopped: its checkpoint cannot be written to `runs/tiny/seed=3/checkpoints/search`",
            "File too large",
            "free some space: the same command, without `--fresh`, then resumes",
        ],
    );
    // What is there is whole: all of pretraining, and the epoch of the search whose checkpoint failed.
    let lines = metrics(&workspace.path(folder));
    assert_eq!(lines[..], reference.metrics[..lines.len()]);
    assert_eq!(lines.last().unwrap()["stage"], "search");
    let saved = std::fs::read_dir(workspace.path(folder).join("checkpoints/search")).unwrap();
    let names: Vec<_> = saved.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.iter().all(|name| name.ends_with(".ckpt") || name == "identity"), "{names:?}");

    reference.assert_same_end(&workspace, "after room was made");
}

#[cfg(unix)]
#[test]
fn a_sweep_says_why_a_trial_failed_and_not_only_where() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    let script = "ulimit -f 20; exec \"$0\" \"$@\"";
    let args = ["-c", script, VITSLIM, "run", "tiny.ron", "--set", "seed=Sweep([1])"];
    let output = workspace.command("sh", &args).env("NO_COLOR", "1").output().unwrap();
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let cause = "checkpoint cannot be written to `runs/tiny/seed=1/checkpoints/pretrain`: File too large";
    assert!(printed.contains(&format!("seed=1 failed: pretrain was stopped: its {cause}")), "{printed}");
    let sweep = json(&workspace.path("runs/tiny/sweep.json"));
    let failure = sweep["trials"][0]["failure"].as_str().unwrap();
    assert!(failure.contains(cause) && failure.matches("os error").count() == 1, "{failure}");
}

#[cfg(unix)]
#[test]
fn the_first_file_that_cannot_be_written_stops_the_run_which_goes_on_later() {
    let reference = reference();
    let experiment = reference.workspace.path("runs/tiny/seed=3/experiment.ron");
    assert!(std::fs::metadata(experiment).unwrap().len() > 512);
    let workspace = Workspace::new();
    let output = limited(&workspace, &reference, 1);
    assert_failed(&output, &["cannot write `runs/tiny/seed=3/experiment.ron`", "File too large"]);
    reference.assert_same_end(&workspace, "after room was made");
}

#[test]
fn what_is_in_the_way_is_named_and_earlier_results_stay() {
    let reference = reference();
    let run = |workspace: &Workspace| workspace.vitslim(&["run", reference.file.to_str().unwrap()]);
    let whole = &reference.workspace;

    // Metrics are read at the beginning, sub-networks written at the end.
    let metrics_file = whole.path("runs/tiny/seed=3/metrics.jsonl");
    let aside = whole.path("aside");
    std::fs::rename(&metrics_file, &aside).unwrap();
    std::fs::remove_file(whole.path("runs/tiny/seed=3/summary.json")).unwrap();
    std::fs::create_dir(&metrics_file).unwrap();
    assert_failed(
        &run(whole),
        &["cannot use `runs/tiny/seed=3/metrics.jsonl`", "move it, or choose another folder"],
    );
    std::fs::remove_dir(&metrics_file).unwrap();
    std::fs::rename(&aside, &metrics_file).unwrap();

    let subnets = whole.path("runs/tiny/seed=3/subnets");
    std::fs::rename(&subnets, &aside).unwrap();
    std::fs::write(&subnets, "mine").unwrap();
    let read = [
        "cannot read `runs/tiny/seed=3/subnets/share-0.5-0.5-0.7/budget.ron`",
        "move it, or choose another folder",
    ];
    assert_failed(&run(whole), &read);
    assert_eq!(metrics(&whole.path("runs/tiny/seed=3")), reference.metrics);
    assert!(whole.path("runs/tiny/seed=3/masks.safetensors").exists());
    std::fs::remove_file(&subnets).unwrap();
    reference.assert_same_end(whole, "after it was moved away");

    let workspace = Workspace::new();
    workspace.write("taken", "a file");
    let output = workspace.vitslim(&["run", reference.file.to_str().unwrap(), "--out", "taken"]);
    assert_failed(&output, &["cannot make `taken/tiny/seed=3`", "move it, or choose another folder"]);
}

#[cfg(target_os = "linux")]
#[test]
fn a_result_that_cannot_be_printed_is_not_lost() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let mut command = workspace.command(VITSLIM, &["run", "tiny.ron"]);
    let output = command.env("NO_COLOR", "1").stdout(full).output().unwrap();
    assert_failed(&output, &["cannot be printed", "No space left", "`runs/tiny/seed=3/summary.json`"]);
    assert!(json(&workspace.path("runs/tiny/seed=3/summary.json"))["subnets"].is_array());
}

/// A folder that may not be written to. Whoever may write everywhere becomes nobody.
#[cfg(unix)]
#[test]
fn a_folder_that_may_not_be_written_to() {
    use std::os::unix::fs::{MetadataExt, PermissionsExt};
    use std::os::unix::process::CommandExt;

    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let mode = |path: &Path, mode| {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    };
    let out = workspace.path("locked");
    std::fs::create_dir(&out).unwrap();
    mode(&out, 0o555);
    mode(&workspace.path(""), 0o755);
    mode(&file, 0o644);
    let by_root = std::fs::metadata(&file).unwrap().uid() == 0;
    let as_nobody = |args: &[&str]| {
        let mut command = workspace.command(VITSLIM, args);
        command.env("NO_COLOR", "1");
        if by_root {
            command.uid(65534).gid(65534);
        }
        command.output()
    };
    // Nobody may not even start a binary that lies in somebody's own folder.
    let Ok(output) = as_nobody(&["run", "tiny.ron", "--out", "locked"]) else { return };
    assert_failed(
        &output,
        &["cannot make `locked/tiny/seed=3`", "Permission denied", "make the folder writable"],
    );
    mode(&workspace.path(""), 0o555);
    let output = as_nobody(&["new", "other"]).unwrap();
    assert_failed(&output, &["cannot write `other.ron`", "Permission denied"]);
    mode(&workspace.path(""), 0o755);
    assert_eq!(std::fs::read_dir(&out).unwrap().count(), 0);
}

#[test]
fn data_that_changed_behind_a_run_are_an_error_and_no_mix() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let short = ["--set", "pretrain=None", "--set", "retrain=None", "--set", "search.epochs=1"];
    workspace.run(&file, &short);
    let recorded = workspace.path("runs/tiny/seed=3/normalisation.json");
    let normalisation = json(&recorded);
    assert_eq!((normalisation["white"].as_u64(), normalisation["images"].as_u64()), (Some(16), Some(1097)));

    // As other data would have it.
    let there = std::fs::read_to_string(&recorded).unwrap().replace("\"mean\":[0.", "\"mean\":[0.9");
    std::fs::write(&recorded, &there).unwrap();
    let args = [&["run", file.to_str().unwrap()], &short[..]].concat();
    let output = workspace.vitslim(&args);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for part in [there.trim_end(), normalisation["mean"].to_string().as_str(), "another folder with `--out`"]
    {
        assert!(printed.contains(part), "no `{part}` in: {printed}");
    }
    assert!(printed.contains("not that of `runs/tiny/seed=3/normalisation.json`"), "{printed}");
    workspace.run(&file, &[&short[..], &["--fresh"]].concat());
    assert_eq!(json(&recorded), normalisation);
}
