//! File systems that lose what was not synced, and those whose locks fail or have no effect.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

use image::{Rgb, RgbImage};
use serde_json::Value;

use super::identity::{short, with_colours};
use super::resume::{metrics, reference, wait_for_epochs};
use super::workspace::{TINY, VITSLIM, Workspace, json, said};

const RUN: &str = "runs/tiny/seed=3";

/// The library that stands between vitslim and the system. As the build, it needs a C compiler.
fn shim() -> &'static Path {
    static SHIM: OnceLock<(tempfile::TempDir, PathBuf)> = OnceLock::new();
    let compile = || {
        let folder = tempfile::tempdir().unwrap();
        let library = folder.path().join("shim.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/runner/shim.c");
        let mut compiler = Command::new("cc");
        let compiled =
            compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).args([source, "-ldl"]).status();
        let compiled =
            compiled.unwrap_or_else(|error| panic!("no C compiler, `cc`, compiles {source}: {error}"));
        assert!(compiled.success(), "{source} does not compile");
        (folder, library)
    };
    &SHIM.get_or_init(compile).1
}

fn shimmed(workspace: &Workspace, shim: &Path, variable: &str, value: &str, args: &[&str]) -> Command {
    let mut command = workspace.command(VITSLIM, args);
    command.env("NO_COLOR", "1").env("LD_PRELOAD", shim).env(variable, value);
    command
}

fn spawn(mut command: Command) -> Child {
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Makes `to` what the disk has of the folder that it calls `number`.
fn rebuild(disk: &Path, number: &str, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    let listed = std::fs::read_to_string(disk.join(number)).unwrap_or_default();
    for line in listed.lines() {
        let (number, name) = line.split_once(' ').unwrap();
        match number.starts_with('d') {
            true => rebuild(disk, number, &to.join(name)),
            // The name of a file may be there before its content.
            false => {
                std::fs::write(to.join(name), std::fs::read(disk.join(number)).unwrap_or_default()).unwrap();
            }
        }
    }
}

/// The lines of epochs, which are few, and not of steps.
fn epochs(folder: &Path) -> usize {
    let is_epoch = |line: &Value| line["step"].is_null();
    if folder.join("metrics.jsonl").exists() {
        metrics(folder).iter().filter(|line| is_epoch(line)).count()
    } else {
        0
    }
}

#[test]
fn a_power_cut_loses_no_epoch_that_was_recorded_and_no_result() {
    let shim = shim();
    let reference = reference();
    let lines = reference.metrics.len();
    for recorded in [3, lines / 2, lines] {
        let workspace = Workspace::new();
        let disk = workspace.path("disk");
        std::fs::create_dir(&disk).unwrap();
        let args = ["run", reference.file.to_str().unwrap()];
        let mut run = spawn(shimmed(&workspace, shim, "SHIM_DISK", disk.to_str().unwrap(), &args));
        wait_for_epochs(&workspace.path(RUN), recorded, &mut run);
        if recorded == lines {
            assert!(run.wait().unwrap().success());
        } else {
            run.kill().unwrap();
            run.wait().unwrap();
        }
        let before = epochs(&workspace.path(RUN));

        let left = Workspace::new();
        let root = format!("d{}", std::fs::metadata(workspace.path("")).unwrap().ino());
        rebuild(&disk, &root, &left.path(""));
        // The last line may not have been on the disk yet.
        assert!(epochs(&left.path(RUN)) + 1 >= before, "{} of {before} epochs", epochs(&left.path(RUN)));
        let printed = said(&left.vitslim(&args));
        for lost in ["damaged", "incomplete", "starts again"] {
            assert!(!printed.contains(lost), "{printed}");
        }
        assert_eq!(printed.contains("this run is complete"), recorded == lines, "{printed}");
        reference.assert_same_end(&left, &format!("after {recorded} lines"));
    }
}

#[test]
fn a_power_cut_brings_no_result_back_that_was_discarded() {
    let shim = shim();
    let workspace = with_colours();
    let disk = workspace.path("disk");
    std::fs::create_dir(&disk).unwrap();
    let args = short(&[]);
    let mut run = spawn(shimmed(&workspace, shim, "SHIM_DISK", disk.to_str().unwrap(), &args));
    assert!(run.wait().unwrap().success());
    let results = |workspace: &Workspace| {
        ["share-0.1", "share-0.5-0.5-0.7"].map(|label| {
            std::fs::read(workspace.path(RUN).join("subnets").join(label).join("result.json")).ok()
        })
    };
    let data = |workspace: &Workspace| std::fs::read(workspace.path(RUN).join("data.json")).unwrap();
    let (old_data, old) = (data(&workspace), results(&workspace));

    // With another test split, everything is measured again.
    RgbImage::from_pixel(8, 8, Rgb([9; 3])).save(workspace.path("imgs/test/a/0.png")).unwrap();
    let mut run = spawn(shimmed(&workspace, shim, "SHIM_DISK", disk.to_str().unwrap(), &args));
    while data(&workspace) == old_data && run.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    // The name that was just given is synced next.
    std::thread::sleep(Duration::from_millis(500));
    run.kill().unwrap();
    run.wait().unwrap();
    let left = Workspace::new();
    let root = format!("d{}", std::fs::metadata(workspace.path("")).unwrap().ino());
    rebuild(&disk, &root, &left.path(""));
    assert_ne!(data(&left), old_data, "the disk has the new split");
    for (left, old) in results(&left).into_iter().zip(old) {
        assert!(old.is_some() && left != old);
    }
}

#[test]
fn where_there_are_no_locks_the_file_system_is_named_and_what_to_do() {
    let shim = shim();
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    // ENOLCK, EOPNOTSUPP, and what Linux answers for some network file systems.
    for code in ["37", "95", "524"] {
        let output = shimmed(&workspace, shim, "SHIM_FLOCK", code, &["run", "tiny.ron"]).output().unwrap();
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        for part in
            ["`runs/tiny/seed=3` cannot be kept for one process", ", mounted at /", "has no locks", "`--out`"]
        {
            assert!(printed.contains(part), "no `{part}` in: {printed}");
        }
    }
    // A run that was stopped elsewhere.
    for name in ["experiment.ron", "normalisation.json"] {
        std::fs::write(workspace.path(RUN).join(name), "").unwrap();
    }
    for code in ["0", "37", "95", "524"] {
        let listed = shimmed(&workspace, shim, "SHIM_FLOCK", code, &["ls", "--json"]).output().unwrap();
        let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
        assert_eq!(listed["runs"][0]["state"], "stopped");
    }
}

#[test]
fn where_locks_have_no_effect_the_second_process_takes_the_run_over_and_the_first_notices() {
    let shim = shim();
    let reference = reference();
    let workspace = Workspace::new();
    let start = || {
        let args = ["run", reference.file.to_str().unwrap()];
        spawn(shimmed(&workspace, shim, "SHIM_FLOCK", "0", &args))
    };
    let mut first = start();
    wait_for_epochs(&workspace.path(RUN), 2, &mut first);
    let second = start();
    let number = second.id();
    let first = first.wait_with_output().unwrap();
    let second = second.wait_with_output().unwrap();
    assert_eq!(first.status.code(), Some(1), "{}", said(&first));
    let told = format!("was taken over by process {number}, which started there after this process");
    assert!(said(&first).contains(&told), "{}", said(&first));
    assert!(second.status.success(), "{}", said(&second));
    // Each line once.
    assert_eq!(metrics(&workspace.path(RUN)), reference.metrics);
    assert!(json(&workspace.path(RUN).join("summary.json"))["subnets"].is_array());
}

#[test]
fn where_locks_have_no_effect_a_sweep_leaves_a_trial_that_another_takes_over_and_records_no_failure() {
    let shim = shim();
    let reference = reference();
    let workspace = Workspace::new();
    let start = || {
        let args = ["run", reference.file.to_str().unwrap(), "--set", "seed=Sweep([3])"];
        spawn(shimmed(&workspace, shim, "SHIM_FLOCK", "0", &args))
    };
    let mut first = start();
    wait_for_epochs(&workspace.path(RUN), 2, &mut first);
    let second = start();
    let first = first.wait_with_output().unwrap();
    assert!(!workspace.path(RUN).join("failure.txt").exists());
    assert_eq!(first.status.code(), Some(1), "{}", said(&first));
    let begun = said(&first).matches("seed=3: begins").count();
    assert_eq!(begun, 1, "{}", said(&first));
    let told = "another process has taken over 1 of 1 trials";
    assert!(said(&first).contains(told), "{}", said(&first));
    let second = second.wait_with_output().unwrap();
    assert!(second.status.success(), "{}", said(&second));
    assert_eq!(json(&workspace.path("runs/tiny/sweep.json"))["trials"][0]["state"], "complete");
}
