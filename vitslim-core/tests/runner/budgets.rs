//! Budgets that are added to an experiment whose search is there.

use std::path::Path;

use serde_json::Value;

use super::resume::metrics;
use super::workspace::{TINY, Workspace, json, repeatable, said};

const RUN: &str = "runs/tiny/seed=3";

const FIRST: &str = "\n        Share({ \"head_dim\": 0.5, \"hidden\": 0.5, \"tokens\": 0.7 }),";

/// A run with the second budget alone.
fn with_one_budget(workspace: &Workspace) -> std::path::PathBuf {
    assert!(TINY.contains(FIRST));
    let file = workspace.write("tiny.ron", &TINY.replace(FIRST, ""));
    workspace.run(&file, &[]);
    file
}

#[track_caller]
fn assert_refused(workspace: &Workspace, file: &Path, args: &[&str]) {
    let summary = std::fs::read(workspace.path(RUN).join("summary.json")).unwrap();
    let output = workspace.vitslim(&[&["run", file.to_str().unwrap()], args].concat());
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
    for part in ["holds the results of another experiment", "add budgets and change nothing else"] {
        assert!(printed.contains(part), "{args:?} does not say `{part}` but: {printed}");
    }
    assert_eq!(std::fs::read(workspace.path(RUN).join("summary.json")).unwrap(), summary);
}

#[test]
fn a_budget_that_is_added_is_cut_out_of_the_same_search() {
    let whole = Workspace::new();
    let expected = repeatable(whole.run(&whole.write("tiny.ron", TINY), &[]));

    let workspace = Workspace::new();
    let file = with_one_budget(&workspace);
    let before = metrics(&workspace.path(RUN));
    workspace.write("tiny.ron", TINY);
    assert_eq!(repeatable(workspace.run(&file, &[])), expected);
    let after = metrics(&workspace.path(RUN));
    assert!(after.starts_with(&before), "something was trained once more");
    let new = &after[before.len()..];
    let of_the_new = |line: &Value| line["subnet"] == "share-0.5-0.5-0.7";
    assert!(!new.is_empty() && new.iter().all(of_the_new), "{new:?}");
    let resolved =
        |workspace: &Workspace| std::fs::read_to_string(workspace.path(RUN).join("experiment.ron"));
    assert_eq!(resolved(&workspace).unwrap(), resolved(&whole).unwrap());
}

#[test]
fn what_was_trained_is_not_lost_by_a_change() {
    let workspace = Workspace::new();
    let file = with_one_budget(&workspace);
    let other_budget = "budgets=[Share({\"hidden\": 0.2})]";
    for set in
        [other_budget, "retrain.epochs=2", "cut=Hard", "round_to=4", "search.epochs=3", "pretrain.epochs=3"]
    {
        assert_refused(&workspace, &file, &["--set", set]);
    }

    // A sub-network that was only begun is nothing to lose.
    let run = workspace.path(RUN);
    for begun in ["summary.json", "subnets/share-0.1/result.json"] {
        std::fs::remove_file(run.join(begun)).unwrap();
    }
    std::fs::remove_dir_all(run.join("checkpoints/retrain/share-0.1")).unwrap();
    let searched = std::fs::read(run.join("masks.safetensors")).unwrap().len();
    workspace.run(&file, &["--set", other_budget]);
    assert!(!run.join("subnets/share-0.1").exists() && run.join("subnets/share-0.2/result.json").exists());
    let lines = metrics(&run);
    let stages =
        |stage: &str| lines.iter().filter(|line| line["stage"] == stage && line["step"].is_null()).count();
    assert_eq!([stages("pretrain"), stages("search"), stages("retrain")], [2, 2, 1]);
    assert!(lines.iter().all(|line| line["subnet"] != "share-0.1"));
    assert_eq!(std::fs::read(run.join("masks.safetensors")).unwrap().len(), searched);
    assert_eq!(json(&run.join("summary.json"))["subnets"].as_array().unwrap().len(), 1);
}
