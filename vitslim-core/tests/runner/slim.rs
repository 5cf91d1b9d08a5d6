//! `vitslim slim`: more networks out of a search that is finished.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::identity::files;
use super::resume::{interrupt, metrics};
use super::workspace::{TINY, VITSLIM, Workspace, json, repeatable, said};

pub const RUN: &str = "runs/tiny/seed=3";

/// The first budget of the tiny experiment, as its file has it.
pub const FIRST: &str = "\n        Share({ \"head_dim\": 0.5, \"hidden\": 0.5, \"tokens\": 0.7 }),";

/// The budget of [`FIRST`], in another order.
const FURTHER: &str = "Share({\"hidden\": 0.5, \"head_dim\": 0.5, \"tokens\": 0.7})";

/// A run that retrains nothing.
pub const WITHOUT_RETRAINING: [&str; 4] = ["--set", "retrain=None", "--set", "pretrain=None"];

/// The results of the networks that `vitslim slim` leaves, and what it says.
#[track_caller]
pub fn slim(workspace: &Workspace, run: &str, args: &[&str]) -> (Value, String) {
    said_json(workspace, &[&["slim", run, "--json"], args].concat())
}

/// The JSON that a command prints, and what it says.
#[track_caller]
fn said_json(workspace: &Workspace, args: &[&str]) -> (Value, String) {
    let output = workspace.vitslim(args);
    assert!(output.status.success(), "{}", said(&output));
    (serde_json::from_slice(&output.stdout).unwrap(), said(&output))
}

/// The command is refused for `reasons`, and the run is as before.
#[track_caller]
pub fn assert_refused(workspace: &Workspace, args: &[&str], reasons: &[&str]) {
    let run = workspace.path(RUN);
    let before = files(&run);
    let output = workspace.vitslim(args);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
    for reason in reasons {
        assert!(printed.contains(reason), "{args:?} does not say `{reason}` but: {printed}");
    }
    assert!(files(&run) == before, "{args:?} changed the run");
}

fn copy(from: &Path, to: &Path) {
    for (path, bytes) in files(from) {
        let path = to.join(path.strip_prefix(from).unwrap());
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// The files of a sub-network, but for its results, which have times.
fn network(run: &Path, label: &str) -> Vec<Vec<u8>> {
    let names = ["plan.ron", "model.safetensors", "network.json"];
    names.map(|name| fs::read(run.join("subnets").join(label).join(name)).unwrap()).to_vec()
}

#[test]
fn a_further_network_is_that_of_a_run_that_had_its_budget_from_the_start() {
    let whole = Workspace::new();
    let expected = repeatable(whole.run(&whole.write("tiny.ron", TINY), &[]));
    let label = "share-0.5-0.5-0.7";

    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &TINY.replace(FIRST, ""));
    workspace.run(&file, &[]);
    let [run, other] = [RUN, "moved"].map(|run| workspace.path(run));
    copy(&run, &other);
    let kept = ["experiment.ron", "summary.json"].map(|name| fs::read(run.join(name)).unwrap());

    // Retrained, wherever the run lies now.
    let (summary, _) = slim(&workspace, "moved", &["--budget", FURTHER, "--retrain"]);
    let summary = repeatable(summary);
    assert_eq!(summary["subnets"][0], expected["subnets"][0]);
    assert_eq!((&summary["dense"], &summary["search"]), (&expected["dense"], &expected["search"]));
    assert_eq!(network(&other, label), network(&whole.path(RUN), label));
    let (again, told) = slim(&workspace, "moved", &["--budget", FURTHER, "--retrain"]);
    assert_eq!(repeatable(again), summary);
    assert!(told.contains(&format!("`{label}` is there already")), "{told}");

    // As it is cut.
    let (cut, told) = slim(&workspace, RUN, &["--budget", FURTHER, "--budget", "Macs(0.5)"]);
    let cut = repeatable(cut);
    assert!(!told.contains("already"), "{told}");
    assert_eq!(cut["subnets"][0]["top1_sliced"], expected["subnets"][0]["top1_sliced"]);
    assert!(cut["subnets"][0]["top1_retrained"].is_null());
    assert_eq!(kept, ["experiment.ron", "summary.json"].map(|name| fs::read(run.join(name)).unwrap()));
    let retrained = metrics(&run);
    let (again, told) = slim(&workspace, RUN, &["--budget", FURTHER]);
    assert_eq!(repeatable(again)["subnets"][0], cut["subnets"][0]);
    assert!(told.contains(&format!("`{label}` is there already")), "{told}");
    assert_eq!(metrics(&run), retrained);

    // A run that gets the budget later retrains what was only cut, and takes what was retrained.
    workspace.write("tiny.ron", TINY);
    assert_eq!(repeatable(workspace.run(&file, &[])), expected);
    assert_eq!(network(&run, label), network(&whole.path(RUN), label));
    assert!(metrics(&run).len() > retrained.len());
    fs::remove_dir_all(&run).unwrap();
    copy(&other, &run);
    let before = (metrics(&run), json(&run.join("subnets").join(label).join("result.json")));
    assert_eq!(repeatable(workspace.run(&file, &[])), expected);
    assert_eq!((metrics(&run), json(&run.join("subnets").join(label).join("result.json"))), before);

    // What was only cut is nothing that a run cannot measure.
    slim(&workspace, RUN, &["--budget", "Macs(0.5)"]);
    let mut data = json(&run.join("data.json"));
    data["test"]["sha256"] = "another".into();
    fs::write(run.join("data.json"), data.to_string()).unwrap();
    let args = ["slim", RUN, "--budget", "Macs(0.4)"];
    assert_refused(
        &workspace,
        &args,
        &["the data are not those of the run", "test split", "measures all networks on the new test split"],
    );
    said_json(&workspace, &["frontier", RUN, "--points", "2", "--split", "held_out", "--json"]);
    assert_eq!(repeatable(workspace.run(&file, &[])), expected);
    assert!(!run.join("subnets/macs-0.5/result.json").exists(), "of another test split");
}

/// The tiny experiment called `name`, which trains nothing, with these `budgets` after its own.
fn untrained(name: &str, budgets: &str) -> String {
    let tokens = "\n            \"tokens\": (weight: 1e-4, activation: Tanh, init: 3.0),";
    let text = TINY.replace(FIRST, "").replace(tokens, "").replace("0.1 }),", &format!("0.1 }}), {budgets}"));
    text.replace(
        "name: \"tiny\",",
        &format!("name: \"{name}\",\n    importance: Random,\n    correct: true,"),
    )
}

#[test]
fn a_run_without_a_search_or_of_a_sub_network_is_cut_further_as_any() {
    let workspace = Workspace::new();
    for (name, model) in [("base", ""), ("again", ", pretrained: \"runs/base/seed=3/share-0.1\"")] {
        let text = |budgets| {
            untrained(name, budgets)
                .replace("(architecture: \"vit\"", &format!("(architecture: \"vit\"{model}"))
        };
        let text = |budgets| match model {
            "" => text(budgets),
            _ => text(budgets).replace(
                ", config: (patch_size: 4, dim: 16, depth: 2, heads: 2, mlp_ratio: 2, drop_path: 0.1)",
                "",
            ),
        };
        let whole = workspace.write("whole.ron", &text("Macs(0.5),"));
        let expected = workspace.run(&whole, &[&WITHOUT_RETRAINING[..], &["--out", "whole"]].concat());
        let file = workspace.write("run.ron", &text(""));
        workspace.run(&file, &WITHOUT_RETRAINING);
        let run = format!("runs/{name}/seed=3");
        let (summary, _) = slim(&workspace, &run, &["--budget", "Macs(0.5)"]);
        assert_eq!(repeatable(summary)["subnets"][0], repeatable(expected.clone())["subnets"][1], "{name}");
        let folders = [run.clone(), format!("whole/{name}/seed=3")].map(|run| workspace.path(&run));
        let [further, of_whole] = folders.map(|run| network(&run, "macs-0.5"));
        assert!(further == of_whole, "{name}");
        let (found, _) = said_json(&workspace, &["frontier", &run, "--points", "2", "--json"]);
        assert_eq!(found["points"][1]["macs"], expected["dense"]["macs"], "{name}");
        let (counted, _) = said_json(
            &workspace,
            &["count", &format!("{run}/macs-0.5"), "--convention", "vit-slim", "--json"],
        );
        assert_eq!(counted["convention"], "vit-slim", "{name}");
    }
}

#[test]
fn what_was_retrained_is_never_replaced_by_what_is_cut() {
    let workspace = Workspace::new();
    let base = workspace.write("base.ron", &untrained("base", ""));
    workspace.run(&base, &WITHOUT_RETRAINING);
    let teacher = "label_smoothing: 0.1, teacher: (pretrained: \"runs/base/seed=3/share-0.1\")";
    let text =
        TINY.replace(FIRST, "").replace("label_smoothing: 0.1", teacher).replace("epochs: 2", "epochs: 1");
    let text = text.replace("warmup_epochs: 1", "warmup_epochs: 0");
    let file = workspace.write("tiny.ron", &text);
    workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    let (own, further) = ("Share({\"hidden\": 0.1})", "Share({\"hidden\": 0.3})");
    let (_, told) = slim(&workspace, RUN, &["--budget", further, "--retrain"]);
    assert!(!told.contains("already"), "{told}");

    let trained = metrics(&run);
    let file_of = |label: &str, name: &str| run.join("subnets").join(label).join(name);
    let retrained = |label: &str| json(&file_of(label, "result.json"))["top1_retrained"].clone();
    for (budget, label) in [(own, "share-0.1"), (further, "share-0.3")] {
        let before = (network(&run, label), retrained(label));
        fs::remove_file(file_of(label, "model.safetensors")).unwrap();
        let (_, told) = slim(&workspace, RUN, &["--budget", budget]);
        assert!(told.contains(&format!("`{label}` was retrained; it is made again")), "{told}");
        assert!((network(&run, label), retrained(label)) == before, "{label}");
    }

    // Its budget is known where its results are not, as after a change of the test split.
    fs::remove_file(file_of("share-0.3", "result.json")).unwrap();
    workspace.write("tiny.ron", &text.replace("0.1 }),", "0.1 }), Share({ \"head_dim\": 0.3 }),"));
    assert_refused(&workspace, &["run", "tiny.ron"], &["share-0.3` is a sub-network of another budget"]);

    // Whoever taught the stages before is not needed any more.
    for gone in
        ["runs/base", "runs/tiny/seed=3/teacher-pretrain.safetensors"].map(|gone| workspace.path(gone))
    {
        if gone.is_dir() { fs::remove_dir_all(gone).unwrap() } else { fs::remove_file(gone).unwrap() }
    }
    let (summary, _) = slim(&workspace, RUN, &["--budget", further, "--retrain"]);
    assert_eq!(summary["subnets"][0]["label"], "share-0.3");
    assert!(metrics(&run) == trained, "something was trained again");

    // Weights never lie beside results of others.
    slim(&workspace, RUN, &["--budget", "Macs(0.5)"]);
    let description = file_of("macs-0.5", "network.json");
    fs::remove_file(&description).unwrap();
    fs::create_dir(&description).unwrap();
    assert!(!workspace.vitslim(&["slim", RUN, "--budget", "Macs(0.5)"]).status.success());
    assert!(!file_of("macs-0.5", "result.json").exists());

    let top1 = retrained("share-0.1");
    fs::remove_file(file_of("share-0.1", "model.safetensors")).unwrap();
    fs::remove_dir_all(run.join("checkpoints/retrain/share-0.1")).unwrap();
    let refused = [
        "`share-0.1` of the run in `runs/tiny/seed=3` was retrained, but a file of it is gone",
        "`--retrain`",
    ];
    assert_refused(&workspace, &["slim", RUN, "--budget", own], &refused);
    let (summary, _) = slim(&workspace, RUN, &["--budget", own, "--retrain"]);
    assert_eq!(summary["subnets"][0]["top1_retrained"], top1);
}

#[test]
fn a_retraining_that_is_stopped_goes_on_with_the_same_command() {
    let workspace = Workspace::new();
    let text = TINY.replace("retrain: (epochs: 1", "retrain: (epochs: 12");
    let file = workspace.write("tiny.ron", &text.replace(FIRST, ""));
    // What there is to retrain is cut later.
    workspace
        .run(&file, &["--set", "pretrain=None", "--set", "retrain.epochs=12", "--set", "search.epochs=1"]);
    let [run, whole] = [RUN, "whole"].map(|run| workspace.path(run));
    copy(&run, &whole);
    let args = ["--budget", "Macs(0.5)", "--retrain"];
    let (expected, _) = slim(&workspace, "whole", &args);

    let all = [&["slim", RUN][..], &args].concat();
    let mut child =
        workspace.command(VITSLIM, &all).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let epochs = || {
        let text = fs::read_to_string(run.join("metrics.jsonl")).unwrap();
        text.lines().filter(|line| line.contains("macs-0.5")).count()
    };
    let started = Instant::now();
    while epochs() < 2 && child.try_wait().unwrap().is_none() && started.elapsed() < Duration::from_secs(120)
    {
        std::thread::sleep(Duration::from_millis(1));
    }
    interrupt(&child);
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{}", said(&output));
    assert!(said(&output).contains("retrain was stopped in epoch"), "{}", said(&output));
    assert!(json(&run.join("subnets/macs-0.5/result.json"))["top1_retrained"].is_null());

    let (summary, told) = slim(&workspace, RUN, &args);
    assert!(!told.contains("already"), "{told}");
    assert_eq!(repeatable(summary)["subnets"], repeatable(expected)["subnets"]);
    assert_eq!(network(&run, "macs-0.5"), network(&whole, "macs-0.5"));
}

#[test]
fn a_trial_of_a_sweep_is_cut_further_and_shares_nothing_of_that() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", &TINY.replace(FIRST, ""));
    let sets = ["--set", "seed=Sweep([3, 4])", "--set", "pretrain=None", "--set", "search.epochs=1"];
    let output = workspace.vitslim(&[&["run", "tiny.ron"][..], &sets].concat());
    assert!(output.status.success(), "{}", said(&output));
    let all = || files(&workspace.path("runs"));
    let before = all();
    let (summary, _) = slim(&workspace, RUN, &["--budget", "Macs(0.5)", "--retrain"]);
    assert_eq!(summary["trial"], "seed=3");
    assert!(summary["subnets"][0]["top1_retrained"].is_number());
    let run = workspace.path(RUN);
    let is_new = |(path, _): &(PathBuf, _)| !before.iter().any(|(before, _)| before == path);
    for (path, _) in all().into_iter().filter(is_new) {
        assert!(path.starts_with(&run) && path.parent().unwrap().ends_with("macs-0.5"), "{}", path.display());
    }
    let evaluated = workspace.vitslim(&["eval", &format!("{RUN}/macs-0.5"), "--json"]);
    let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["top1"], summary["subnets"][0]["top1_retrained"]);
    let (found, _) = said_json(&workspace, &["frontier", RUN, "--points", "2", "--json"]);
    assert_eq!(found, json(&run.join("frontier.json")));
}
