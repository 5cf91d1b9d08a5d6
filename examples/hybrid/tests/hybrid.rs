//! The hybrid is checked, searched and cut, and few of its lines are there for vitslim.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What the program prints, in this folder, of a command that must end well.
#[track_caller]
fn printed(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_hybrid"));
    let output = command.args(args).current_dir(CRATE).output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn few_lines_are_there_for_vitslim_only() {
    let (mut all, mut annotations) = (0, 0);
    for file in fs::read_dir(Path::new(CRATE).join("src")).expect("a folder") {
        let text = fs::read_to_string(file.expect("a file").path()).expect("text");
        assert!(!text.contains("impl Slimmable"), "the derive says it all");
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        for line in lines {
            all += 1;
            annotations += usize::from(line.starts_with("#[slim"));
        }
    }
    println!("{annotations} of {all} lines");
    assert!(10 * annotations <= all, "{annotations} of {all} lines are annotations");
}

#[test]
fn the_recipe_shows_these_very_lines() {
    let read = |file: &str| fs::read_to_string(Path::new(CRATE).join(file)).expect(file);
    let recipes = read("../../docs/recipes.md");
    let (_, shown) = recipes.split_once("```rust,ignore\n").expect("a block");
    let (shown, _) = shown.split_once("```").expect("its end");
    assert!(read("src/net.rs").contains(shown), "the recipe shows other structs than `src/net.rs` has");
}

#[test]
fn the_annotations_are_proved() {
    let checked = printed(&["check", "experiment.ron", "--json", "--set", "search.checkpointing=true"]);
    let found: Value = serde_json::from_str(&checked).expect("JSON");
    assert_eq!(found["reasons"], Value::Array(Vec::new()));
    assert!(!checked.contains("changes nothing"), "no block is handed to `checkpoint`: {checked}");
    let dimensions = found["dimensions"].as_array().expect("dimensions");
    for name in ["stem", "width1", "width4", "hidden", "squeezed", "head_dim"] {
        let path = |dimension: &Value| dimension["path"].as_str().expect("a path").to_owned();
        assert!(dimensions.iter().any(|dimension| path(dimension).ends_with(name)), "no {name}: {found}");
    }
}

#[test]
fn the_experiment_gives_sub_networks_that_are_really_cut() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("hybrid");
    // What an earlier test left may be of another experiment, in whose folder none runs.
    let _ = fs::remove_dir_all(&out);
    // Fewer epochs: in a debug build the whole takes minutes.
    let fewer = ["pretrain.epochs=2", "search.epochs=1", "search.checkpointing=true", "retrain.epochs=1"]
        .map(|epochs| ["--set", epochs]);
    let mut args = vec!["run", "experiment.ron", "--quiet", "--out", out.to_str().expect("a name in UTF-8")];
    args.extend(fewer.concat());
    printed(&args);
    let summary = fs::read(out.join("hybrid/seed=1/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_slice(&summary).expect("JSON");
    let subnets = summary["subnets"].as_array().expect("sub-networks");
    assert_eq!(subnets.len(), 2);
    for subnet in subnets {
        let number = |field: &str| subnet[field].as_f64().expect(field);
        assert!(number("masked_vs_sliced") <= 1e-4, "{subnet}");
        assert!(number("params") < summary["dense"]["params"].as_f64().expect("a number"), "{subnet}");
        assert!(subnet["top1_retrained"].is_number(), "{subnet}");
    }
}
