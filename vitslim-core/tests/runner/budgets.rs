//! Budgets that are added to an experiment whose search is there.

use std::path::Path;

use serde_json::Value;

use super::resume::metrics;
use super::workspace::{TINY, Workspace, json, keeping_all, repeatable, said};

const RUN: &str = "runs/tiny/seed=3";

const FIRST: &str = "\n        Share({ \"head_dim\": 0.5, \"hidden\": 0.5, \"tokens\": 0.7 }),";

/// A run with the second budget alone.
fn with_one_budget(workspace: &Workspace) -> std::path::PathBuf {
    assert!(TINY.contains(FIRST));
    let file = workspace.write("tiny.ron", &TINY.replace(FIRST, ""));
    workspace.run(&file, &[]);
    file
}

/// The run is refused, for `reason`, and as complete as before.
#[track_caller]
fn assert_refused(workspace: &Workspace, file: &Path, args: &[&str], reason: &[&str]) {
    let summary = std::fs::read(workspace.path(RUN).join("summary.json")).unwrap();
    let output = workspace.vitslim(&[&["run", file.to_str().unwrap()], args].concat());
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
    for part in reason {
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
    // What is finished needs its checkpoints no more.
    std::fs::remove_dir_all(workspace.path(RUN).join("checkpoints/retrain")).unwrap();
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

    // With a budget more, and its checkpoints gone, it can still begin anew.
    std::fs::remove_dir_all(workspace.path(RUN).join("checkpoints")).unwrap();
    let third = "budgets=[Share({\"head_dim\": 0.5, \"hidden\": 0.5, \"tokens\": 0.7}), Share({\"hidden\": 0.1}), Share({\"hidden\": 0.9})]";
    let fresh = repeatable(workspace.run(&file, &["--fresh", "--set", third]));
    let first_two = |summary: &Value| summary["subnets"].as_array().unwrap()[..2].to_vec();
    assert_eq!(first_two(&fresh), first_two(&expected));
}

/// One that comes before it in the file is trained first, and both are whole then.
#[test]
fn a_sub_network_that_is_half_trained_goes_on_behind_one_that_is_added() {
    let longer = |text: &str| keeping_all(text).replace("retrain: (epochs: 1", "retrain: (epochs: 2");
    let whole = Workspace::new();
    let expected = repeatable(whole.run(&whole.write("tiny.ron", &longer(TINY)), &[]));

    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &longer(&TINY.replace(FIRST, "")));
    workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    for unfinished in ["summary.json", "subnets/share-0.1/result.json"] {
        std::fs::remove_file(run.join(unfinished)).unwrap();
    }
    for part in ["model", "optimizer"] {
        std::fs::remove_file(run.join(format!("checkpoints/retrain/share-0.1/{part}-2.ckpt"))).unwrap();
    }
    workspace.write("tiny.ron", &longer(TINY));
    assert_eq!(repeatable(workspace.run(&file, &[])), expected);
    let epochs = |run: &Path, subnet: &str| -> Vec<Value> {
        let lines = metrics(run).into_iter();
        lines.filter(|line| line["subnet"] == subnet && line["step"].is_null()).collect()
    };
    for subnet in ["share-0.1", "share-0.5-0.5-0.7"] {
        assert_eq!(epochs(&run, subnet), epochs(&whole.path(RUN), subnet));
        assert_eq!(epochs(&run, subnet).len(), 2);
    }
}

#[test]
fn what_was_trained_is_not_lost_by_a_change() {
    let workspace = Workspace::new();
    let file = with_one_budget(&workspace);
    let run = workspace.path(RUN);
    let other_budget = "budgets=[Share({\"hidden\": 0.2})]";
    let more = "budgets=[Share({\"hidden\": 0.1}), Share({\"hidden\": 0.2})]";
    let another = ["holds the results of another experiment", "append budgets to those that it has"];
    for set in
        [other_budget, "retrain.epochs=2", "cut=Hard", "round_to=4", "search.epochs=3", "pretrain.epochs=3"]
    {
        assert_refused(&workspace, &file, &["--set", set], &another);
    }
    // Trials of a sweep share their searches in another way.
    assert_refused(&workspace, &file, &["--set", more, "--set", "seed=Sweep([3])"], &another[..1]);

    let spoilt_to = |name: &str, aside: &str| {
        let (file, aside) = (run.join(name), workspace.path(aside));
        std::fs::rename(&file, &aside).unwrap();
        move || std::fs::rename(&aside, &file).unwrap()
    };
    let spoilt = |name: &str| spoilt_to(name, "aside");
    for lost in ["checkpoints/pretrain/model-2.ckpt", "checkpoints/search"] {
        let bring_back = spoilt(lost);
        assert_refused(&workspace, &file, &["--set", more], &["no longer has all of its checkpoints and"]);
        bring_back();
    }
    let bring_back = spoilt("normalisation.json");
    std::fs::write(run.join("normalisation.json"), "{}").unwrap();
    assert_refused(&workspace, &file, &["--set", more], &["normalisation.json` is damaged"]);
    bring_back();

    let bring_back = spoilt("subnets");
    let without_search = spoilt_to("checkpoints/search", "aside too");
    assert_refused(&workspace, &file, &["--set", more], &["no longer has all of its checkpoints and"]);
    without_search();
    bring_back();

    // The same, as another version would write it.
    let experiment = std::fs::read_to_string(run.join("experiment.ron")).unwrap();
    std::fs::write(run.join("experiment.ron"), format!("// written otherwise\n{experiment}")).unwrap();
    let summary = json(&run.join("summary.json"));
    assert_eq!(workspace.run(&file, &[]), summary, "times too");
    assert_eq!(std::fs::read_to_string(run.join("experiment.ron")).unwrap(), experiment);

    // A sub-network that was only begun is nothing to lose.
    for begun in ["summary.json", "subnets/share-0.1/result.json"] {
        std::fs::remove_file(run.join(begun)).unwrap();
    }
    std::fs::remove_dir_all(run.join("checkpoints/retrain/share-0.1")).unwrap();
    let before = metrics(&run);
    workspace.run(&file, &["--set", other_budget]);
    for gone in ["subnets", "checkpoints/retrain", "tensorboard/retrain"] {
        assert!(!run.join(gone).join("share-0.1").exists() && run.join(gone).join("share-0.2").exists());
    }
    let lines = metrics(&run);
    let kept: Vec<_> = before.into_iter().filter(|line| line["stage"] != "retrain").collect();
    assert!(lines.starts_with(&kept) && lines[kept.len()..].iter().all(|line| line["subnet"] == "share-0.2"));
    assert_eq!(json(&run.join("summary.json"))["subnets"].as_array().unwrap().len(), 1);
}
