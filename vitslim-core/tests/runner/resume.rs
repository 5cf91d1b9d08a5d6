//! A run that is stopped goes on, and ends as if it had not been.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::workspace::{TINY, Workspace, json, keeping_all, repeatable, said};

/// Enough epochs that a kill finds a stage at work, and all that a checkpoint has to bring back: an average of the weights,
/// clipping, learning rates that differ, batches in parts, a stage that may end early, lines between epochs.
fn longer() -> String {
    TINY.replace(
        "epochs: 2, batch: 128,",
        "epochs: 4, batch: 128, accumulate: 2, clip: 1.0, layer_decay: 0.8,",
    )
    .replace("epochs: 2,\n", "epochs: 4,\n        ema: 0.9,\n")
    .replace("epochs: 1,", "epochs: 6, ema: 0.5, early_stop: 1,")
    .replace("seed: 3,", "seed: 3,\n    log_every: 5,")
}

fn spawn(workspace: &Workspace, file: &Path) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitslim"));
    command.arg("run").arg(file).arg("--out").arg(workspace.path("runs"));
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

/// `metrics.jsonl` without its times.
pub fn metrics(folder: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap();
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line).unwrap();
        line.as_object_mut().unwrap().remove("seconds").expect("seconds");
        line
    };
    text.lines().map(line).collect()
}

/// The uninterrupted run.
pub struct Reference {
    pub file: PathBuf,
    pub workspace: Workspace,
    summary: Value,
    pub metrics: Vec<Value>,
}

pub fn reference() -> Reference {
    reference_of(&longer())
}

/// One that can go back to an earlier epoch of a complete stage.
pub fn reference_with_all_checkpoints() -> Reference {
    reference_of(&keeping_all(&longer()))
}

fn reference_of(experiment: &str) -> Reference {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", experiment);
    let summary = repeatable(workspace.run(&file, &[]));
    let metrics = metrics(&workspace.path("runs/tiny/seed=3"));
    Reference { file, workspace, summary, metrics }
}

impl Reference {
    /// The run in `workspace` ends as this one.
    #[track_caller]
    pub fn assert_same_end(&self, workspace: &Workspace, what: &str) {
        assert_eq!(repeatable(workspace.run(&self.file, &[])), self.summary, "{what}");
        let metrics = metrics(&workspace.path("runs/tiny/seed=3"));
        for (line, expected) in metrics.iter().zip(&self.metrics) {
            assert_eq!(line, expected, "{what}");
        }
        assert_eq!(metrics.len(), self.metrics.len(), "{what}");
        self.assert_each_epoch_once_in_tensorboard(&workspace.path("runs/tiny/seed=3/tensorboard"), what);
    }

    #[track_caller]
    fn assert_each_epoch_once_in_tensorboard(&self, folder: &Path, what: &str) {
        let mut epochs = BTreeMap::<PathBuf, usize>::new();
        for line in self.metrics.iter().filter(|line| line["step"].is_null()) {
            let stage = folder.join(line["stage"].as_str().unwrap());
            *epochs.entry(stage.join(line["subnet"].as_str().unwrap_or(""))).or_default() += 1;
        }
        for (stage, epochs) in epochs {
            let files = std::fs::read_dir(&stage).unwrap();
            let events = files.map(|file| std::fs::read(file.unwrap().path()).unwrap_or_default());
            let events = events.collect::<Vec<_>>().concat();
            let found = String::from_utf8_lossy(&events).matches("held_out/loss").count();
            assert_eq!(found, epochs, "{what}: {}", stage.display());
        }
    }
}

/// Waits until the run in `folder` has recorded `epochs` epochs, or has ended.
pub fn wait_for_epochs(folder: &Path, epochs: usize, child: &mut Child) {
    let recorded = || {
        let text = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default();
        text.lines().count()
    };
    while recorded() < epochs && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// The stage that the run in `folder` was in when it was killed: that of the line that it would have written next.
pub fn stage_hit(folder: &Path, uninterrupted: &[Value]) -> Option<String> {
    let recorded = std::fs::read_to_string(folder.join("metrics.jsonl")).unwrap_or_default().lines().count();
    uninterrupted.get(recorded).map(|line| line["stage"].as_str().unwrap().to_owned())
}

#[test]
fn killed_at_twenty_moments_of_all_stages_it_ends_the_same() {
    let reference = reference();
    let mut rng = ChaCha8Rng::seed_from_u64(20);
    let mut hit = Vec::new();
    for round in 0..5 {
        let workspace = Workspace::new();
        let folder = workspace.path("runs/tiny/seed=3");
        for stage in ["pretrain", "search", "retrain", "retrain"] {
            let of_stage = |line: &&Value| line["stage"] == stage;
            let before = reference.metrics.iter().take_while(|line| !of_stage(line)).count();
            let lines = reference.metrics.iter().filter(of_stage).count();
            let mut child = spawn(&workspace, &reference.file);
            // By what the run has done and not by the clock, which a loaded machine stretches.
            wait_for_epochs(&folder, before + rng.random_range(0..lines), &mut child);
            std::thread::sleep(Duration::from_micros(rng.random_range(0..40_000)));
            let at_work = child.try_wait().unwrap().is_none();
            child.kill().unwrap();
            child.wait().unwrap();
            hit.extend(stage_hit(&folder, &reference.metrics).filter(|_| at_work));
        }
        reference.assert_same_end(&workspace, &format!("round {round}"));
    }
    for stage in ["pretrain", "search", "retrain"] {
        let times = hit.iter().filter(|hit| *hit == stage).count();
        assert!(times >= 3, "only {times} of 20 kills hit the {stage}: {hit:?}");
    }
}

/// Removes what was made from the search of the run in `folder`: nothing is trained again at the price of what is finished.
fn remove_what_follows(folder: &Path) {
    std::fs::remove_file(folder.join("summary.json")).unwrap();
    for name in ["checkpoints/retrain", "subnets"] {
        std::fs::remove_dir_all(folder.join(name)).unwrap();
    }
}

#[test]
fn a_torn_line_and_a_damaged_checkpoint_are_told_and_repaired() {
    let reference = reference_with_all_checkpoints();
    let folder = reference.workspace.path("runs/tiny/seed=3");
    let damage = |name: &str, change: fn(&mut Vec<u8>)| {
        let path = folder.join(name);
        let mut bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        change(&mut bytes);
        std::fs::write(path, bytes).unwrap();
    };
    remove_what_follows(&folder);
    damage("metrics.jsonl", |bytes| bytes.truncate(bytes.len() - 9));
    // Whether the stage ends with weights or with their average.
    for of in ["model", "average"] {
        damage(&format!("checkpoints/search/{of}-4.ckpt"), |bytes| bytes[100] ^= 1);
    }

    let output = reference.workspace.vitslim(&["run", reference.file.to_str().unwrap()]);
    let printed = said(&output);
    let told = "search: the checkpoint of epoch 4 is damaged; resuming from the one before";
    assert!(printed.contains(told), "{printed}");
    reference.assert_same_end(&reference.workspace, "repaired");

    // With none before it.
    remove_what_follows(&folder);
    std::fs::remove_dir_all(folder.join("checkpoints/search")).unwrap();
    for epoch in 1..=4 {
        damage(&format!("checkpoints/pretrain/model-{epoch}.ckpt"), |bytes| bytes[100] ^= 1);
    }
    let output = reference.workspace.vitslim(&["run", reference.file.to_str().unwrap()]);
    let printed = said(&output);
    let told = "pretrain: the checkpoint of epoch 3 is damaged; the stage starts again";
    assert!(printed.contains(told), "{printed}");
    reference.assert_same_end(&reference.workspace, "begun anew");
}

#[test]
fn a_frozen_search_goes_on_frozen() {
    let frozen = TINY.replace("masks: (lr", "freeze: Weights,\n        masks: (lr");
    let reference = reference_of(&keeping_all(&frozen));
    let folder = reference.workspace.path("runs/tiny/seed=3");
    remove_what_follows(&folder);
    std::fs::remove_file(folder.join("checkpoints/search/model-2.ckpt")).unwrap();
    let output = reference.workspace.vitslim(&["run", reference.file.to_str().unwrap()]);
    let printed = said(&output);
    assert!(
        printed.contains("search: the checkpoint of epoch 2 is incomplete; resuming from the one before"),
        "{printed}"
    );
    reference.assert_same_end(&reference.workspace, "repaired");
}

/// Presses Ctrl-C.
pub fn interrupt(child: &Child) {
    signal(child, "INT");
}

/// Sends a signal. A shell has `kill` where there is no program of that name.
pub fn signal(child: &Child, name: &str) {
    let kill = format!("kill -{name} {}", child.id());
    assert!(Command::new("sh").arg("-c").arg(kill).status().unwrap().success());
}

#[test]
fn ctrl_c_stops_after_the_batch_and_says_how_to_go_on() {
    let reference = reference();
    let workspace = Workspace::new();
    let mut command = Command::new(env!("CARGO_BIN_EXE_vitslim"));
    command.arg("run").arg(&reference.file).arg("--out").arg(workspace.path("runs"));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for_epochs(&workspace.path("runs/tiny/seed=3"), 1, &mut child);
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(130), "{printed}");
    let stopped = "pretrain was stopped in epoch";
    assert!(
        printed.contains(stopped)
            && printed.ends_with("the same command, without `--fresh`, resumes from there"),
        "{printed}"
    );
    assert!(!workspace.path("runs/tiny/seed=3/summary.json").exists());
    reference.assert_same_end(&workspace, "after Ctrl-C");
}

#[test]
fn a_complete_run_is_not_repeated_unless_it_is_to_be_fresh() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let first = workspace.run(&file, &[]);
    assert_eq!(workspace.run(&file, &[]), first, "times too");
    let fresh = workspace.run(&file, &["--fresh"]);
    assert_ne!(fresh["seconds"], first["seconds"]);
    assert_eq!(repeatable(fresh), repeatable(first));
}

#[test]
fn a_changed_setting_is_refused_by_name() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.run(&file, &[]);
    let refused = |sets: &[&str]| {
        let sets = sets.iter().flat_map(|set| ["--set", set]);
        let output = workspace.vitslim(&["run", "tiny.ron"].into_iter().chain(sets).collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(1));
        said(&output)
    };
    let printed = refused(&["retrain.epochs=2"]);
    assert!(printed.contains("help: `retrain.epochs` is `1` there and `2` here; give another"), "{printed}");
    // What could have been added is not the cause.
    let printed = refused(&["budgets=[Share({\"hidden\": 0.9})]", "retrain.batch=64"]);
    assert!(printed.contains("help: `retrain.batch` is `128` there and `64` here, `budgets.0."), "{printed}");
    assert!(json(&workspace.path("runs/tiny/seed=3/summary.json"))["subnets"].is_array());
}

#[test]
fn two_processes_never_work_in_one_folder() {
    let reference = reference();
    let workspace = Workspace::new();
    let mut first = spawn(&workspace, &reference.file);
    let lock = workspace.path("runs/tiny/seed=3/experiment.ron");
    let started = Instant::now();
    while !lock.exists() && started.elapsed() < Duration::from_secs(120) {
        std::thread::sleep(Duration::from_millis(5));
    }
    let second = workspace.vitslim(&["run", reference.file.to_str().unwrap()]);
    let printed = said(&second);
    assert_eq!(second.status.code(), Some(1), "{printed}");
    assert!(printed.contains(&format!("is in use by process {}", first.id())), "{printed}");
    first.kill().unwrap();
    first.wait().unwrap();
    reference.assert_same_end(&workspace, "after its holder died");
}

/// Whether this process, and so its children, ignores SIGHUP, as under `nohup`.
fn ignores_hup() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    ignored.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).is_some_and(|mask| mask & 1 == 1)
}

#[cfg(target_os = "linux")]
#[test]
fn signals_of_a_batch_system_end_a_run_like_ctrl_c_with_exit_codes_of_their_own() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &longer().replace("epochs: 4, batch", "epochs: 400, batch"));
    let folder = workspace.path("runs/tiny/seed=3");
    for (name, code, epochs) in [("TERM", 143, 1), ("USR1", 138, 6), ("HUP", 129, 12)] {
        if name == "HUP" && ignores_hup() {
            continue;
        }
        let mut command = workspace.command(env!("CARGO_BIN_EXE_vitslim"), &["run", file.to_str().unwrap()]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_for_epochs(&folder, epochs, &mut child);
        // Slurm may send it twice.
        signal(&child, name);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(code), "{printed}");
        assert!(printed.contains(&format!("stopping after this batch: SIG{name}")), "{printed}");
        assert!(printed.ends_with("the same command, without `--fresh`, resumes from there"), "{printed}");
        // What it had saved stays.
        assert!(metrics(&folder).len() >= epochs);
    }
    // As `nohup` starts it.
    let script = "trap '' HUP; exec \"$0\" \"$@\"";
    let mut command =
        workspace.command("sh", &["-c", script, env!("CARGO_BIN_EXE_vitslim"), "run", "tiny.ron"]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let epochs = metrics(&folder).len();
    wait_for_epochs(&folder, epochs + 2, &mut child);
    signal(&child, "HUP");
    wait_for_epochs(&folder, epochs + 8, &mut child);
    assert!(child.try_wait().unwrap().is_none());
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

/// Waits until the process listens to SIGTERM, which it does before it reads its data.
#[cfg(target_os = "linux")]
fn wait_until_it_listens(child: &mut Child) {
    let status = format!("/proc/{}/status", child.id());
    let listens = || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:")).unwrap();
        u64::from_str_radix(caught.trim(), 16).unwrap() & (1 << 14) != 0
    };
    while !listens() {
        assert!(child.try_wait().unwrap().is_none());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_signal_before_training_ends_the_process_at_once() {
    let workspace = Workspace::new();
    let random = "data: Random(image_size: 32, channels: 3, classes: 10, images: 10000)";
    workspace.write("tiny.ron", &TINY.replace("data: Digits", random));
    for (name, code, seed) in [("TERM", 143, "3"), ("INT", 130, "3"), ("TERM", 143, "Sweep([3, 4])")] {
        let set = format!("seed={seed}");
        let mut command =
            workspace.command(env!("CARGO_BIN_EXE_vitslim"), &["run", "tiny.ron", "--set", &set]);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
        wait_until_it_listens(&mut child);
        signal(&child, name);
        let output = child.wait_with_output().unwrap();
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(code), "{printed}");
        assert!(printed.contains("stopped before training began: "), "{printed}");
        assert!(!workspace.path("runs").exists());
    }
}

#[cfg(unix)]
#[test]
fn a_signal_between_stages_stops_before_the_next_budget() {
    let workspace = Workspace::new();
    let (start, _) = TINY.split_once("    budgets:").unwrap();
    let shares = (1..=9).map(|tenths| format!("Share({{ \"hidden\": 0.{tenths} }})"));
    let budgets = shares.collect::<Vec<_>>().join(", ");
    let file = workspace.write("tiny.ron", &format!("{start}    budgets: [{budgets}],\n)\n"));
    let folder = workspace.path("runs/tiny/seed=3");
    let mut command = workspace.command(env!("CARGO_BIN_EXE_vitslim"), &["run", file.to_str().unwrap()]);
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    while !folder.join("subnets/share-0.1/result.json").exists() && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(143), "{printed}");
    let told = "stopped between two stages; the same command, without `--fresh`, resumes from there";
    assert!(printed.ends_with(told), "{printed}");
    assert!(!folder.join("subnets/share-0.9").exists() && !folder.join("summary.json").exists());
    let before = metrics(&folder);
    assert_eq!(workspace.run(&file, &[])["subnets"].as_array().unwrap().len(), 9);
    assert_eq!(metrics(&folder), before);
}

#[cfg(unix)]
#[test]
fn a_signal_that_comes_again_after_some_seconds_ends_a_process_that_does_not_get_to_stop() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", &longer().replace("seed: 3", "seed: Sweep([3, 4])"));
    let mut command = workspace.command(env!("CARGO_BIN_EXE_vitslim"), &["run", "tiny.ron"]);
    let mut sweep = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let folder = workspace.path("runs/tiny/seed=3");
    wait_for_epochs(&folder, 1, &mut sweep);
    let holder = std::fs::read_to_string(folder.join("lock")).unwrap();
    let trial = holder.lines().next().unwrap().strip_prefix("process ").unwrap();
    let kill = |name: &str| {
        assert!(
            Command::new("sh").arg("-c").arg(format!("kill -{name} {trial}")).status().unwrap().success()
        );
    };
    // The sweep waits for its trial.
    kill("STOP");
    signal(&sweep, "TERM");
    signal(&sweep, "TERM");
    std::thread::sleep(Duration::from_millis(3500));
    let waits = sweep.try_wait().unwrap().is_none();
    signal(&sweep, "TERM");
    let started = Instant::now();
    while sweep.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(20) {
        std::thread::sleep(Duration::from_millis(10));
    }
    // It ends by itself, without its sweep.
    kill("CONT");
    assert!(waits && started.elapsed() < Duration::from_secs(20));
    assert_eq!(sweep.wait().unwrap().code(), Some(143));
}

#[test]
fn a_run_that_is_killed_in_its_first_epoch_is_stopped() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &TINY.replace("epochs: 2, batch: 128,", "epochs: 2, batch: 2,"));
    let mut child = spawn(&workspace, &file);
    while !workspace.path("runs/tiny/seed=3/normalisation.json").exists()
        && child.try_wait().unwrap().is_none()
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(!workspace.path("runs/tiny/seed=3/summary.json").exists());
    let listed = workspace.vitslim(&["ls", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    assert_eq!(listed["runs"][0]["state"], "stopped");
}

#[test]
fn an_epoch_that_an_earlier_version_saved_though_it_had_diverged_is_trained_again() {
    let reference = reference_of(&keeping_all(TINY));
    let folder = reference.workspace.path("runs/tiny/seed=3");
    let path = folder.join("checkpoints/search/model-2.ckpt");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes.truncate(bytes.len() - 32);
    let last = bytes.len() - 4;
    bytes[last..].copy_from_slice(&f32::NAN.to_le_bytes());
    let digest = Sha256::digest(&bytes);
    bytes.extend(digest.as_slice());
    std::fs::write(&path, bytes).unwrap();
    remove_what_follows(&folder);
    let printed = said(&reference.workspace.vitslim(&["run", reference.file.to_str().unwrap()]));
    let told = "search: the checkpoint of epoch 2 is not finite; resuming from the one before";
    assert!(printed.contains(told), "{printed}");
    reference.assert_same_end(&reference.workspace, "trained again");
}

/// The last step drives the masks of the tokens to minus infinity, where their tanh is -1: no loss tells of it.
#[test]
fn an_epoch_whose_last_step_diverges_is_not_saved_as_good() {
    let workspace = Workspace::new();
    let masks = "masks: (lr: 1.0, weight_decay: 3e38),";
    let text = keeping_all(TINY).replace("masks: (lr: 5e-2),", masks).replace(
        "epochs: 2,\n        batch: 128,",
        "epochs: 2,\n        batch: 1097,\n        schedule: Constant(),",
    );
    let file = workspace.write("tiny.ron", &text);
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(
        printed.contains("search diverged: `masks.") && printed.contains("is not finite after epoch 1"),
        "{printed}"
    );
    // There is no checkpoint to speak of.
    assert!(!printed.contains("checkpoint") && printed.contains("a smaller penalty weight"), "{printed}");
    let search = workspace.path("runs/tiny/seed=3/checkpoints/search");
    assert!(!search.join("model-1.ckpt").exists());
}

#[test]
fn a_loss_that_is_not_finite_stops_the_run_and_says_where() {
    let workspace = Workspace::new();
    let file = workspace
        .write("tiny.ron", &TINY.replace("\"hidden\": (weight: 1e-4)", "\"hidden\": (weight: 3e38)"));
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1));
    for part in
        ["search diverged: the loss is inf at step 1 of epoch 1", "learning rate of 1e-3", "try a lower"]
    {
        assert!(printed.contains(part), "{printed}");
    }
    assert!(workspace.path("runs/tiny/seed=3/checkpoints/pretrain/model-2.ckpt").exists());
}
