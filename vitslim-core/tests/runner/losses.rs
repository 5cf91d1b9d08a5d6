//! What a lost or damaged file would take with it stays, and is told.

use std::fs;
use std::path::Path;

use super::identity::files;
use super::resume::metrics;
use super::sweeps::two_budgets;
use super::workspace::{TINY, Workspace, json, repeatable, said};

const RUN: &str = "runs/tiny/seed=3";

/// Makes of a complete run in `folder` one that was stopped in its second retraining.
fn stop(folder: &Path, label: &str) {
    fs::remove_file(folder.join("summary.json")).unwrap();
    fs::remove_dir_all(folder.join("subnets").join(label)).unwrap();
}

/// The content of `path` with one bit flipped.
fn flipped(path: &Path) -> Vec<u8> {
    let mut bytes = fs::read(path).unwrap();
    bytes[100] ^= 1;
    bytes
}

#[test]
fn a_run_that_lost_a_file_says_what_it_would_discard_and_discards_nothing() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let summary = workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    stop(&run, "share-0.1");
    let whole = files(&run);
    for (name, lost, flaw, taken) in [
        (
            "checkpoints/pretrain/model-2.ckpt",
            false,
            "is damaged",
            "3 checkpoints and 1 finished sub-network",
        ),
        ("checkpoints/pretrain/model-2.ckpt", true, "is missing", "3 checkpoints and 1 finished sub-network"),
        ("checkpoints/search/model-2.ckpt", false, "is damaged", "2 checkpoints and 1 finished sub-network"),
        ("metrics.jsonl", true, "is missing", "4 checkpoints and 1 finished sub-network"),
    ] {
        let path = run.join(name);
        let bytes = fs::read(&path).unwrap();
        match lost {
            true => fs::remove_file(&path).unwrap(),
            false => fs::write(&path, flipped(&path)).unwrap(),
        }
        let left = files(&run);
        let output = workspace.vitslim(&["run", "tiny.ron"]);
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        for told in [name, flaw, taken, "restore the file, or start again with `--fresh`"] {
            assert!(printed.contains(told), "no `{told}` in: {printed}");
        }
        assert_eq!(files(&run), left, "{name}");
        fs::write(&path, bytes).unwrap();
    }
    // Restored, it goes on with all that it had.
    assert_eq!(files(&run), whole);
    let before = metrics(&run);
    assert_eq!(repeatable(workspace.run(&file, &[])), repeatable(summary.clone()));
    assert_eq!(metrics(&run), before);
    let kept = run.join("subnets/share-0.5-0.5-0.7/result.json");
    assert!(whole.contains(&(kept.clone(), fs::read(kept).unwrap())));

    fs::remove_file(run.join("metrics.jsonl")).unwrap();
    fs::remove_file(run.join("summary.json")).unwrap();
    assert_eq!(repeatable(workspace.run(&file, &["--fresh"])), repeatable(summary));
}

#[test]
fn a_stage_that_lost_its_record_keeps_its_checkpoints() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.run(&file, &[]);
    let run = workspace.path(RUN);
    for name in ["summary.json", "metrics.jsonl", "subnets", "checkpoints/search", "checkpoints/retrain"] {
        let path = run.join(name);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }.unwrap();
    }
    let left = files(&run);
    let printed = said(&workspace.vitslim(&["run", "tiny.ron"]));
    assert!(printed.contains("would discard 1 checkpoint help:"), "{printed}");
    assert_eq!(files(&run), left);
}

#[test]
fn a_trial_takes_a_lost_checkpoint_from_the_others_and_keeps_what_it_made_from_it() {
    let workspace = Workspace::new();
    let (_, [_, second]) = two_budgets(&workspace);
    let run = || {
        let output = workspace.vitslim(&["run", "tiny.ron"]);
        (output.status.success(), said(&output))
    };
    assert!(run().0);
    let summary = json(&second.join("summary.json"));
    let before = metrics(&second);
    let kept = second.join("subnets/share-0.5-0.5-0.7/result.json");
    let result = fs::read(&kept).unwrap();
    stop(&second, "share-0.9");
    let lost = second.join("checkpoints/pretrain/model-2.ckpt");
    // Beside, and not in place: the checkpoints of the trials are the same file.
    let damaged = flipped(&lost);
    fs::remove_file(&lost).unwrap();
    fs::write(&lost, &damaged).unwrap();
    let (succeeded, printed) = run();
    assert!(succeeded, "{printed}");
    assert_eq!(repeatable(json(&second.join("summary.json"))), repeatable(summary));
    assert_eq!((metrics(&second), fs::read(&kept).unwrap()), (before, result));

    // Without its record, nobody knows where its results come from.
    stop(&second, "share-0.9");
    fs::remove_file(second.join("metrics.jsonl")).unwrap();
    let (succeeded, printed) = run();
    assert!(!succeeded && printed.contains("would discard"), "{printed}");
    assert!(kept.exists() && second.join("checkpoints/search/model-2.ckpt").exists());
}
