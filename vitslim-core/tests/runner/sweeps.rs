//! Sweeps: several trials of one file, what they share, and what happens to the others when one fails or all are stopped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::Value;

use super::resume::{interrupt, metrics, signal, stage_hit, wait_for_epochs};
use super::workspace::{TINY, VITSLIM, Workspace, json, keeping_all, repeatable, said};

/// Two weights, and budgets that differ between trials.
fn sweep() -> String {
    TINY.replace("\"hidden\": (weight: 1e-4)", "\"hidden\": (weight: Sweep([1e-4, 1e-2]))")
        .replace("\"hidden\": 0.1", "\"hidden\": Sweep([0.1, 0.9])")
}

const TRIALS: [&str; 4] = [
    "hidden.weight=0.0001,budgets.1.hidden=0.1,seed=3",
    "hidden.weight=0.0001,budgets.1.hidden=0.9,seed=3",
    "hidden.weight=0.01,budgets.1.hidden=0.1,seed=3",
    "hidden.weight=0.01,budgets.1.hidden=0.9,seed=3",
];

fn run_sweep(workspace: &Workspace, file: &Path, args: &[&str]) -> Value {
    let mut all = vec!["run", file.to_str().unwrap()];
    all.extend(args);
    let output = workspace.vitslim(&all);
    assert!(output.status.success(), "{}", said(&output));
    json(&workspace.path("runs/tiny/sweep.json"))
}

/// A sweep's trials by their names, without what differs from run to run.
fn trials(sweep: &Value) -> BTreeMap<String, Value> {
    let trial = |trial: &Value| {
        let mut trial = trial.clone();
        if !trial["summary"].is_null() {
            trial["summary"] = repeatable(trial["summary"].clone());
            // It has the number of threads in it, which are shared out among trials.
            trial["summary"].as_object_mut().unwrap().remove("device");
        }
        (trial["trial"].as_str().unwrap().to_owned(), trial)
    };
    sweep["trials"].as_array().unwrap().iter().map(trial).collect()
}

/// The shared stages of a sweep, by kind.
fn shared(workspace: &Workspace) -> BTreeMap<String, usize> {
    let mut count = BTreeMap::new();
    for entry in std::fs::read_dir(workspace.path("runs/tiny/.shared")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        *count.entry(name.split('-').next().unwrap().to_owned()).or_default() += 1;
    }
    count
}

fn spawn(workspace: &Workspace, args: &[&str]) -> Child {
    let mut command = workspace.command(VITSLIM, args);
    command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

#[test]
fn what_trials_have_in_common_is_trained_once_and_comes_out_as_if_each_had_trained_it() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &sweep());
    let plan = workspace.vitslim(&["plan", "tiny.ron", "--no-times"]);
    let planned = String::from_utf8_lossy(&plan.stdout).into_owned();
    // The first budget of both trials of a weight is the same, and so is its retraining.
    assert!(planned.contains("4 trials: 1 pretraining, 2 searches, 6 retrainings; "), "{planned}");

    let sweep = run_sweep(&workspace, &file, &[]);
    let counts =
        [("pretrain", 1), ("retrain", 6), ("search", 2)].map(|(stage, count)| (stage.to_owned(), count));
    assert_eq!(shared(&workspace), BTreeMap::from(counts));
    let swept = trials(&sweep);
    assert_eq!(swept.keys().map(String::as_str).collect::<Vec<_>>(), TRIALS);

    for trial in TRIALS {
        let folder = workspace.path(&format!("runs/tiny/{trial}"));
        // The file in its folder repeats the trial, which then shares nothing with anyone.
        let alone = Workspace::new();
        let resolved = std::fs::read_to_string(folder.join("experiment.ron")).unwrap();
        let mut summary = repeatable(alone.run(&alone.write("resolved.ron", &resolved), &[]));
        summary["trial"] = trial.into();
        summary.as_object_mut().unwrap().remove("device");
        assert_eq!(swept[trial]["summary"], summary);
        assert_eq!(metrics(&folder), metrics(&alone.path("runs/tiny/seed=3")), "{trial}");
        assert!(!alone.path("runs/tiny/.shared").exists());
    }
    let csv = std::fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 2 * TRIALS.len(), "{csv}");

    // Complete trials are not run again, and the table is the same.
    let again = workspace.vitslim(&["run", "tiny.ron", "--json"]);
    assert!(said(&again).contains("4 of 4 trials are complete"), "{}", said(&again));
    assert_eq!(serde_json::from_slice::<Value>(&again.stdout).unwrap(), sweep);
}

#[test]
fn a_shared_stage_is_not_taken_over_once_something_it_depends_on_has_changed() {
    let workspace = Workspace::new();
    let sweep = keeping_all(TINY).replace("\"hidden\": 0.1", "\"hidden\": Sweep([0.1, 0.9])");
    let file = workspace.write("tiny.ron", &sweep);
    run_sweep(&workspace, &file, &[]);
    for (name, changed, expected) in [
        // Another search only, another pretraining and all after it, other data and all after them.
        ("masks: (lr: 5e-2)", "masks: (lr: 1e-2)", [1, 2]),
        ("label_smoothing: 0.1", "label_smoothing: 0.2", [2, 3]),
        ("data: Digits", "data: Random(image_size: 8, channels: 1, classes: 10, images: 300)", [3, 4]),
    ] {
        for share in ["0.1", "0.9"] {
            let trial = format!("runs/tiny/budgets.1.hidden={share},seed=3");
            std::fs::remove_dir_all(workspace.path(&trial)).unwrap();
        }
        let file = workspace.write("tiny.ron", &sweep.replace(name, changed));
        run_sweep(&workspace, &file, &[]);
        let shared = shared(&workspace);
        assert_eq!([shared["pretrain"], shared["search"]], expected, "{changed}");
    }
}

#[test]
fn killed_in_the_middle_a_sweep_ends_with_the_same_table() {
    let reference = Workspace::new();
    let file = reference.write("tiny.ron", &sweep());
    let uninterrupted = run_sweep(&reference, &file, &[]);

    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &sweep());
    let mut hit = Vec::new();
    for (trial, epochs) in [(0, 1), (0, 3), (1, 5), (2, 2), (3, 4)] {
        let mut sweep = spawn(&workspace, &["run", "tiny.ron"]);
        let folder = workspace.path(&format!("runs/tiny/{}", TRIALS[trial]));
        wait_for_epochs(&folder, epochs, &mut sweep);
        let at_work = sweep.try_wait().unwrap().is_none();
        sweep.kill().unwrap();
        sweep.wait().unwrap();
        wait_until_free(&folder);
        let uninterrupted = metrics(&reference.path(&format!("runs/tiny/{}", TRIALS[trial])));
        // The trial may have gone on until it was free.
        hit.extend(stage_hit(&folder, &uninterrupted).filter(|_| at_work));
    }
    assert!(hit.len() >= 4, "only {hit:?} of 5 kills found a trial at work");
    assert!(
        hit.iter().any(|stage| stage == "pretrain") && hit.iter().any(|stage| stage != "pretrain"),
        "{hit:?}"
    );
    let resumed = run_sweep(&workspace, &file, &[]);
    assert_eq!(trials(&resumed), trials(&uninterrupted));
    let rows = |workspace: &Workspace| {
        let text = std::fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap();
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        let head = reader.headers().unwrap().clone();
        let measured = |name: &str| ["images_per_second", "speedup"].contains(&name);
        let row = |row: csv::StringRecord| -> Vec<String> {
            head.iter()
                .zip(&row)
                .filter(|(name, _)| !measured(name))
                .map(|(_, value)| value.to_owned())
                .collect()
        };
        reader.records().map(|record| row(record.unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(rows(&workspace), rows(&reference));
}

/// Waits for the process of a trial to notice that its sweep is gone.
fn wait_until_free(folder: &Path) {
    let held = || {
        let Ok(lock) = std::fs::File::open(folder.join("lock")) else { return false };
        lock.try_lock().is_err()
    };
    for _ in 0..6000 {
        if !held() {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    panic!("{} outlives its sweep", folder.display());
}

#[test]
fn two_processes_work_on_one_sweep_and_never_on_one_trial() {
    let reference = Workspace::new();
    let file = reference.write("tiny.ron", &sweep());
    let alone = run_sweep(&reference, &file, &["--jobs", "2"]);

    let workspace = Workspace::new();
    workspace.write("tiny.ron", &sweep());
    let [mut first, mut second] = [(); 2].map(|()| spawn(&workspace, &["run", "tiny.ron"]));
    assert!(first.wait().unwrap().success() && second.wait().unwrap().success());
    let together = json(&workspace.path("runs/tiny/sweep.json"));
    assert_eq!(trials(&together), trials(&alone));
    for trial in TRIALS {
        // Every line of the record once: nobody else wrote to it.
        let folder = workspace.path(&format!("runs/tiny/{trial}"));
        assert_eq!(metrics(&folder), metrics(&reference.path(&format!("runs/tiny/{trial}"))));
    }
}

/// A sweep whose second trial diverges.
fn with_a_failure(workspace: &Workspace) -> PathBuf {
    let text = TINY.replace("\"hidden\": (weight: 1e-4)", "\"hidden\": (weight: Sweep([1e-4, 3e38, 1e-3]))");
    workspace.write("tiny.ron", &text)
}

#[test]
fn a_trial_that_fails_is_told_at_once_and_leaves_the_others_alone() {
    let workspace = Workspace::new();
    with_a_failure(&workspace);
    let failing = "hidden.weight=3e38,seed=3";
    let output = workspace.vitslim(&["run", "tiny.ron"]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let told =
        printed.find(&format!("{failing} failed: search diverged: the loss is inf at step 1")).expect("told");
    assert!(told < printed.find("hidden.weight=0.001,seed=3: begins").unwrap(), "{printed}");
    assert!(printed.contains("1 of 3 trials failed"), "{printed}");
    let log = std::fs::read_to_string(workspace.path(&format!("runs/tiny/{failing}/log.txt"))).unwrap();
    assert!(log.contains("search diverged"), "{log}");

    let states = |sweep: &Value| -> Vec<String> {
        let trials = sweep["trials"].as_array().unwrap();
        trials.iter().map(|trial| trial["state"].as_str().unwrap().to_owned()).collect()
    };
    let sweep = json(&workspace.path("runs/tiny/sweep.json"));
    assert_eq!(states(&sweep), ["complete", "failed", "complete"]);
    let csv = std::fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap();
    let row = csv.lines().find(|line| line.contains(failing)).unwrap();
    assert!(row.contains(",failed,3e+38,") && row.contains("search diverged"), "{row}");
    let listed = workspace.vitslim(&["ls", "--json"]);
    let listed: Value = serde_json::from_slice(&listed.stdout).unwrap();
    let failed: Vec<&Value> =
        listed["runs"].as_array().unwrap().iter().filter(|run| run["state"] == "failed").collect();
    assert_eq!(failed.len(), 1);
    assert!(failed[0]["run"].as_str().unwrap().ends_with(failing));

    // Given again, the command tries the one that failed, and no other.
    let again = said(&workspace.vitslim(&["run", "tiny.ron"]));
    assert!(again.contains("2 of 3 trials are complete"), "{again}");
    assert_eq!(again.matches(": begins").count(), 1, "{again}");
}

#[test]
fn a_shared_stage_that_diverged_fails_for_the_other_trials_at_once_with_the_same_cause() {
    let workspace = Workspace::new();
    let text = TINY.replace("\"hidden\": (weight: 1e-4)", "\"hidden\": (weight: Sweep([1e-4, 1e-3]))");
    let file = workspace.write("tiny.ron", &text);
    let wild = ["pretrain.optimizer=AdamW(lr: 1.0, weight_decay: 1e30)", "pretrain.schedule=Constant()"];
    let output = workspace.vitslim(&["run", "tiny.ron", "--set", wild[0], "--set", wild[1]]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    let sweep = json(&workspace.path("runs/tiny/sweep.json"));
    let [first, second] = [0, 1].map(|trial| sweep["trials"][trial]["failure"].as_str().unwrap());
    assert!(first == second && first.starts_with("pretrain diverged: "), "{sweep}");
    let log = |weight: &str| {
        let log = workspace.path(&format!("runs/tiny/hidden.weight={weight},seed=3/log.txt"));
        std::fs::read_to_string(log).unwrap()
    };
    let remembered = "failed in the same way before";
    assert!(!log("0.0001").contains(remembered) && log("0.001").contains(remembered), "{}", log("0.001"));
    let again = |expected: bool| {
        std::fs::remove_file(workspace.path("runs/tiny/hidden.weight=0.0001,seed=3/log.txt")).unwrap();
        workspace.vitslim(&["run", "tiny.ron", "--set", wild[0], "--set", wild[1]]);
        assert_eq!(log("0.0001").contains(remembered), expected, "{}", log("0.0001"));
    };
    again(true);
    let stages = std::fs::read_dir(workspace.path("runs/tiny/.shared")).unwrap();
    let diverged = stages.map(|stage| stage.unwrap().path().join("diverged.txt")).find(|file| file.exists());
    let diverged = diverged.unwrap();
    let told = log("0.0001").replace('│', " ").split_whitespace().collect::<String>();
    assert!(told.contains(diverged.parent().unwrap().file_name().unwrap().to_str().unwrap()), "{told}");
    // Another version tries it again, and so does this one if it is told to.
    let text = std::fs::read_to_string(&diverged).unwrap();
    std::fs::write(&diverged, text.replacen("vitslim ", "vitslim 0.", 1)).unwrap();
    again(false);
    assert_eq!(std::fs::read_to_string(&diverged).unwrap(), text);
    std::fs::remove_file(&diverged).unwrap();
    again(false);
    // With other settings it is another stage.
    for weight in ["0.0001", "0.001"] {
        std::fs::remove_dir_all(workspace.path(&format!("runs/tiny/hidden.weight={weight},seed=3"))).unwrap();
    }
    let ended = run_sweep(&workspace, &file, &[]);
    assert!(trials(&ended).values().all(|trial| trial["state"] == "complete"));
    // The one that diverged is not needed any more.
    assert_eq!(shared(&workspace)["pretrain"], 1);
}

#[test]
fn fail_fast_leaves_the_rest_waiting() {
    let workspace = Workspace::new();
    with_a_failure(&workspace);
    let output = workspace.vitslim(&["run", "tiny.ron", "--fail-fast", "--quiet"]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("hidden.weight=3e38,seed=3 failed") && !printed.contains("begins"), "{printed}");
    let sweep = json(&workspace.path("runs/tiny/sweep.json"));
    assert_eq!(sweep["trials"][2]["state"], "waiting");
    let listed = workspace.vitslim(&["ls"]);
    let listed = String::from_utf8_lossy(&listed.stdout).into_owned();
    assert!(listed.lines().any(|line| line.contains("0.001,seed=3") && line.contains("waiting")), "{listed}");
}

#[cfg(unix)]
#[test]
fn ctrl_c_stops_all_trials_after_their_batch_and_the_same_command_goes_on() {
    let workspace = Workspace::new();
    let longer = sweep().replace("epochs: 2,\n", "epochs: 15,\n");
    let file = workspace.write("tiny.ron", &longer);
    let mut child = spawn(&workspace, &["run", "tiny.ron", "--jobs", "2"]);
    let folder = workspace.path(&format!("runs/tiny/{}", TRIALS[0]));
    wait_for_epochs(&folder, 5, &mut child);
    let assert_stopped = || {
        let states = states(&workspace);
        let has = |state: &str| states.iter().any(|found| found == state);
        assert!(!has("failed") && !has("running") && has("stopped"), "{states:?}");
    };
    interrupt(&child);
    assert_eq!(child.wait().unwrap().code(), Some(130));
    assert_stopped();
    // As a batch system asks for it.
    let mut child = spawn(&workspace, &["run", "tiny.ron"]);
    wait_for_epochs(&folder, metrics(&folder).len() + 2, &mut child);
    signal(&child, "TERM");
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert_stopped();
    let ended = run_sweep(&workspace, &file, &["--jobs", "2"]);
    assert!(trials(&ended).values().all(|trial| trial["state"] == "complete"));
}

#[test]
fn a_sweep_is_refused_before_anything_runs_where_one_trial_is_wrong() {
    let workspace = Workspace::new();
    for (right, wrong, expected) in [
        ("dim: 16", "dim: Sweep([16, 17])", vec!["2 heads do not divide", "tiny.ron:4:"]),
        (
            "architecture: \"vit\"",
            "architecture: Sweep([\"vit\", \"vitt\"])",
            vec!["unknown architecture `vitt`", "did you mean `vit`", "tiny.ron:4:41"],
        ),
        ("data: Digits", "data: Sweep([Digits, Idx(path: \"nowhere\")])", vec!["nowhere", "tiny.ron:5:"]),
        (
            "\"hidden\": 0.1",
            "\"hidden\": Sweep([0.1, 1.5]), \"width\": 0.5",
            vec!["greater than 0 and at most 1"],
        ),
        ("seed: 3", "seed: Sweep([3, 3])", vec!["`3` gives the same trial twice", "tiny.ron:3:21"]),
    ] {
        assert!(TINY.contains(right), "{right}");
        workspace.write("tiny.ron", &TINY.replacen(right, wrong, 1));
        for command in ["run", "plan"] {
            let output = workspace.vitslim(&[command, "tiny.ron"]);
            let printed = said(&output);
            assert_eq!(output.status.code(), Some(1), "{wrong}: {printed}");
            for expected in &expected {
                assert!(printed.contains(expected), "{command} {wrong}: {printed}");
            }
        }
        assert!(!workspace.path("runs").exists(), "{wrong}: something was written");
    }
}

#[test]
fn a_thousand_trials_are_planned_and_one_is_resolved() {
    let workspace = Workspace::new();
    let text = TINY
        .replace("weight: 1e-4)", "weight: LogRange(1e-6, 1e-3, 100))")
        .replace("seed: 3", "seed: Seeds(10)");
    workspace.write("tiny.ron", &text);
    let output = workspace.vitslim(&["plan", "tiny.ron", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let trials = plan["trials"].as_array().unwrap();
    assert_eq!(trials.len(), 1000);
    assert!(trials[0]["stages"][0]["seconds"].as_f64().unwrap() > 0.0);

    let resolved = workspace.vitslim(&["plan", "tiny.ron", "--resolved", "1000"]);
    let text = String::from_utf8_lossy(&resolved.stdout).into_owned();
    assert!(text.contains("seed: 9,") && text.contains("weight: 0.001,"), "{text}");
    let same = workspace.write("last.ron", &text);
    let again = workspace.vitslim(&["plan", same.to_str().unwrap(), "--resolved", "1"]);
    assert_eq!(String::from_utf8_lossy(&again.stdout), text);
    // Other data are another pretraining.
    let data = "data=Sweep([Digits, Random(image_size: 8, channels: 1, classes: 10, images: 300)])";
    workspace.write("data.ron", TINY);
    let plan = workspace.vitslim(&["plan", "data.ron", "--no-times", "--set", data]);
    assert!(
        String::from_utf8_lossy(&plan.stdout).contains("2 trials: 2 pretrainings, 2 searches, 4 retrainings")
    );
    let none = workspace.vitslim(&["plan", "tiny.ron", "--resolved", "1001"]);
    assert!(said(&none).contains("there is no trial 1001: `tiny.ron` has 1000"), "{}", said(&none));
}

/// A sweep of two trials that share their pretraining and their search.
pub fn two_budgets(workspace: &Workspace) -> (PathBuf, [PathBuf; 2]) {
    let file = workspace.write("tiny.ron", &TINY.replace("\"hidden\": 0.1", "\"hidden\": Sweep([0.1, 0.9])"));
    (file, ["0.1", "0.9"].map(|share| workspace.path(&format!("runs/tiny/budgets.1.hidden={share},seed=3"))))
}

fn states(workspace: &Workspace) -> Vec<String> {
    let sweep = json(&workspace.path("runs/tiny/sweep.json"));
    let trials = sweep["trials"].as_array().unwrap();
    trials.iter().map(|trial| trial["state"].as_str().unwrap().to_owned()).collect()
}

#[cfg(unix)]
#[test]
fn what_another_program_has_trained_is_taken_over_where_its_network_is_the_same() {
    let workspace = Workspace::new();
    let (file, [first, second]) = two_budgets(&workspace);
    let text = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, keeping_all(&text)).unwrap();
    let mut sweep = spawn(&workspace, &["run", "tiny.ron"]);
    // Past the pretraining, two epochs of one line each and some between.
    wait_for_epochs(&first, 3, &mut sweep);
    sweep.kill().unwrap();
    sweep.wait().unwrap();
    wait_until_free(&first);
    assert_eq!(metrics(&first).last().unwrap()["stage"], "search", "the pretraining is shared");
    // With their times, which no second training repeats.
    let pretraining = |trial: &Path| {
        let text = std::fs::read_to_string(trial.join("metrics.jsonl")).unwrap();
        text.lines().filter(|line| line.contains("\"pretrain\"")).map(str::to_owned).collect::<Vec<_>>()
    };
    let before = pretraining(&first);

    // A file that this process writes may be open still in what another test starts at the time, and cannot be run then.
    let copy = workspace.command("sh", &["-c", r#"cp "$0" other && printf x >> other"#, VITSLIM]).status();
    assert!(copy.unwrap().success());
    let other = workspace.path("other");
    let output = workspace.command(other.to_str().unwrap(), &["run", "tiny.ron"]).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(shared(&workspace)["pretrain"], 1);
    for trial in [&first, &second] {
        assert_eq!(pretraining(trial), before);
    }

    // With another network, or on another device: nothing is lost, and nothing is shared under a wrong name.
    std::fs::write(first.join("checkpoints/pretrain/identity"), "pretrain-of-another").unwrap();
    std::fs::remove_file(first.join("summary.json")).unwrap();
    std::fs::remove_dir_all(first.join("subnets/share-0.1")).unwrap();
    let again = workspace.vitslim(&["run", "tiny.ron"]);
    assert!(again.status.success(), "{}", said(&again));
    assert!(said(&again).contains("pretrain: its checkpoints are of another device"), "{}", said(&again));
    assert_eq!((pretraining(&first), shared(&workspace)["pretrain"]), (before, 1));
}

#[test]
fn a_shared_stage_that_is_damaged_is_trained_anew_and_shared_again() {
    let workspace = Workspace::new();
    let (file, [_, second]) = two_budgets(&workspace);
    let whole = run_sweep(&workspace, &file, &[]);
    let stage = std::fs::read_dir(workspace.path("runs/tiny/.shared"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("pretrain"))
        .unwrap();
    let record = std::fs::read_to_string(stage.join("metrics.jsonl")).unwrap();
    for damage in ["metrics.jsonl", "model-2.ckpt"] {
        std::fs::remove_dir_all(&second).unwrap();
        // Beside, and not in place: the checkpoints of the trials are the same file.
        std::fs::remove_file(stage.join(damage)).unwrap();
        std::fs::write(stage.join(damage), "{}\n").unwrap();
        assert_eq!(trials(&run_sweep(&workspace, &file, &[])), trials(&whole), "{damage}");
        assert_eq!(
            std::fs::read_to_string(stage.join("metrics.jsonl")).unwrap().lines().count(),
            record.lines().count()
        );
    }
}

#[test]
fn a_trial_that_has_no_folder_fails_and_the_others_do_not() {
    let workspace = Workspace::new();
    let (_, [first, _]) = two_budgets(&workspace);
    std::fs::create_dir_all(first.parent().unwrap()).unwrap();
    std::fs::write(&first, "in the way").unwrap();
    let output = workspace.vitslim(&["run", "tiny.ron"]);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let told = format!("it cannot run in `runs/tiny/{}`", first.file_name().unwrap().to_str().unwrap());
    assert!(said(&output).contains(&told), "{}", said(&output));
    assert_eq!(states(&workspace), ["failed", "complete"]);
    let csv = std::fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap();
    assert!(csv.lines().nth(1).unwrap().contains("it cannot run in"), "{csv}");
}

#[test]
fn another_experiment_of_the_name_is_refused_before_any_trial_begins() {
    let workspace = Workspace::new();
    let (file, [_, second]) = two_budgets(&workspace);
    run_sweep(&workspace, &file, &[]);
    std::fs::remove_dir_all(&second).unwrap();
    let table = std::fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap();
    let other = ["run", "tiny.ron", "--set", "search.masks.lr=1e-1"];
    let output = workspace.vitslim(&other);
    assert_eq!(output.status.code(), Some(1));
    let printed = said(&output);
    let told = ["holds the results of another experiment", "`--fresh`, which discards 6 epochs, "];
    assert!(told.iter().all(|part| printed.contains(part)), "{printed}");
    assert!(!printed.contains("begins") && !second.exists());
    assert_eq!(std::fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap(), table);
    assert!(workspace.path("runs/tiny/.shared").exists());

    let output = workspace.vitslim(&[&other[..], &["--fresh"]].concat());
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(states(&workspace), ["complete", "complete"]);
    assert_eq!(shared(&workspace)["search"], 1);
}

#[cfg(unix)]
#[test]
fn a_fresh_sweep_that_is_stopped_has_nothing_of_the_one_before() {
    let workspace = Workspace::new();
    let (file, [first, _]) = two_budgets(&workspace);
    let before = run_sweep(&workspace, &file, &[]);
    let mut fresh = spawn(&workspace, &["run", "tiny.ron", "--fresh", "--set", "log_every=50"]);
    // What of a run is removed last.
    while first.join("subnets").exists() && fresh.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(1));
    }
    wait_for_epochs(&first, 1, &mut fresh);
    // While it runs, nobody begins it afresh.
    let output = workspace.vitslim(&["run", "tiny.ron", "--fresh"]);
    assert!(said(&output).contains("is in use by process"), "{}", said(&output));
    interrupt(&fresh);
    assert_eq!(fresh.wait().unwrap().code(), Some(130));
    assert_eq!(states(&workspace), ["stopped", "waiting"]);
    assert_eq!(trials(&run_sweep(&workspace, &file, &[])), trials(&before));
}

#[test]
fn a_device_that_is_not_there_is_told_before_any_trial_begins() {
    let workspace = Workspace::new();
    let (_, [first, _]) = two_budgets(&workspace);
    let output = workspace.vitslim(&["run", "tiny.ron", "--set", "devices=[\"cpux\"]"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("--set:1:10: unknown device `cpux`"), "{}", said(&output));
    assert!(!first.exists());
}
