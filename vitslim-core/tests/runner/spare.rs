//! Checkpoints that nothing needs any more, and `vitslim gc`.

use std::path::Path;

use serde_json::Value;

use super::workspace::{TINY, Workspace, keeping_all, repeatable, said};

const RUN: &str = "runs/tiny/seed=3";

/// The names of the files in a folder of checkpoints, but for that with the name of the stage.
fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.retain(|name| name != "identity");
    names.sort();
    names
}

fn gc(workspace: &Workspace, args: &[&str]) -> Value {
    let output = workspace.vitslim(&[&["gc", "--json"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn of_a_complete_stage_the_weights_that_it_ended_with_stay_or_all() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let checkpoints = workspace.path(RUN).join("checkpoints");
    let kept = ["pretrain", "search", "retrain/share-0.1"].map(|stage| names(&checkpoints.join(stage)));
    assert_eq!(kept, [["model-2.ckpt"], ["model-2.ckpt"], ["model-1.ckpt"]]);

    // Everything that is left to do can be done with them.
    let evaluated = workspace.vitslim(&["eval", RUN, "--json"]);
    let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!((&evaluated["top1"], &evaluated["epoch"]), (&summary["dense"]["top1"], &2.into()));
    std::fs::remove_file(workspace.path(RUN).join("summary.json")).unwrap();
    let output = workspace.vitslim(&["run", "tiny.ron"]);
    let printed = said(&output);
    for stage in ["pretrain: complete, 2 epochs", "search: complete, 2 epochs"] {
        assert!(printed.contains(stage), "{printed}");
    }
    assert_eq!(repeatable(workspace.run(&file, &[])), repeatable(summary.clone()));

    // The results are the same, and what stays does not make it another experiment.
    let all = workspace.run(&file, &["--set", "keep=All", "--out", "all"]);
    assert_eq!(repeatable(all), repeatable(summary.clone()));
    let kept = names(&workspace.path("all/tiny/seed=3/checkpoints/pretrain"));
    assert_eq!(kept, ["model-1.ckpt", "model-2.ckpt", "optimizer-1.ckpt", "optimizer-2.ckpt"]);
    assert_eq!(workspace.run(&file, &["--set", "keep=All"]), workspace.run(&file, &[]));
    assert_eq!(gc(&workspace, &["all"])["spare"], Value::Array(vec![]));
}

#[test]
fn gc_keeps_what_an_earlier_version_saved_until_the_run_has_gone_on_from_it() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &keeping_all(TINY));
    workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    // Stopped after its search, whose last step may have diverged.
    for name in ["summary.json", "experiment.ron", "metrics.jsonl"] {
        let text = std::fs::read_to_string(run.join(name)).unwrap().replace("keep: All", "keep: Last");
        let lines = text.split_inclusive('\n').filter(|line| !line.contains("\"retrain\""));
        std::fs::write(run.join(name), lines.collect::<String>()).unwrap();
    }
    std::fs::remove_file(run.join("summary.json")).unwrap();
    for name in ["subnets", "checkpoints/retrain"] {
        std::fs::remove_dir_all(run.join(name)).unwrap();
    }
    gc(&workspace, &["--yes"]);
    assert_eq!(names(&run.join("checkpoints/pretrain")), ["model-2.ckpt"]);
    let all = ["model-1.ckpt", "model-2.ckpt", "optimizer-1.ckpt", "optimizer-2.ckpt"];
    assert_eq!(names(&run.join("checkpoints/search")), all);
}

#[test]
fn gc_shows_what_is_spare_and_frees_it_when_told() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    assert!(said(&workspace.vitslim(&["gc", "nowhere"])).contains("there is no folder `nowhere`"));
    let none = workspace.vitslim(&["gc"]);
    assert!(String::from_utf8_lossy(&none.stdout).contains("no file is spare"));

    // As an earlier version left it.
    let search = workspace.path(RUN).join("checkpoints/search");
    std::fs::write(search.join("optimizer-2.ckpt"), [0; 3000]).unwrap();
    std::fs::write(search.join(".tmpAbc"), [0; 500]).unwrap();
    std::fs::hard_link(search.join("model-2.ckpt"), search.join("model-1.ckpt")).unwrap();
    std::fs::write(search.join("notes"), "mine").unwrap();
    let found = gc(&workspace, &[]);
    let spare = found["spare"].as_array().unwrap();
    assert_eq!((spare.len(), &spare[0]["bytes"], &found["freed"]), (1, &3500.into(), &false.into()));
    let table = workspace.vitslim(&["gc"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    assert!(table.contains("tiny/seed=3/checkpoints/search      3  3.50 k"), "{table}");
    assert!(table.contains("`--yes` frees 3.50 k bytes"), "{table}");
    assert_eq!(names(&search).len(), 5);

    assert_eq!(gc(&workspace, &["--yes"])["freed"], true);
    assert_eq!(names(&search), ["model-2.ckpt", "notes"]);
    std::fs::remove_file(workspace.path(RUN).join("summary.json")).unwrap();
    assert_eq!(repeatable(workspace.run(&file, &[])), repeatable(summary));
}
