//! The guide "An architecture of your own" in `docs/architectures.md`: it shows the code of this crate, which does what the guide
//! says.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// What the program prints, in this folder, of a command that must end well.
#[track_caller]
fn printed(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_own_architecture"));
    let output = command.args(args).current_dir(CRATE).output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_guide_shows_these_very_files() {
    let read = |file: &str| fs::read_to_string(Path::new(CRATE).join(file)).expect(file);
    let guide = read("../../docs/architectures.md");
    for file in ["src/block.rs", "src/net.rs", "src/main.rs"] {
        let block = format!("```rust,ignore\n{}```\n", read(file));
        assert!(guide.contains(&block), "the guide does not show {file} as it is");
    }
    assert_eq!(guide.matches("```rust,ignore\n").count(), 3, "the guide shows code that nothing builds");
}

#[test]
fn the_annotations_are_proved() {
    let found: Value = serde_json::from_str(&printed(&["check", "experiment.ron", "--json"])).expect("JSON");
    assert_eq!(found["reasons"], Value::Array(Vec::new()));
    let dimensions = found["dimensions"].as_array().expect("dimensions");
    for name in ["head_dim", "hidden", "tokens", "width"] {
        let path = |dimension: &Value| dimension["path"].as_str().expect("a path").to_owned();
        assert!(dimensions.iter().any(|dimension| path(dimension).ends_with(name)), "no {name}: {found}");
    }
}

#[test]
fn the_experiment_gives_sub_networks_that_are_really_cut() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("own_architecture");
    // What an earlier test left may be of another experiment, in whose folder none runs.
    let _ = fs::remove_dir_all(&out);
    // Fewer epochs: in a debug build the whole takes minutes.
    let epochs = ["pretrain.epochs=3", "search.epochs=2", "retrain.epochs=1"].map(|epochs| ["--set", epochs]);
    let mut args = vec!["run", "experiment.ron", "--quiet", "--out", out.to_str().expect("a name in UTF-8")];
    args.extend(epochs.concat());
    printed(&args);
    let summary = fs::read(out.join("parallel/seed=1/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_slice(&summary).expect("JSON");
    let subnets = summary["subnets"].as_array().expect("sub-networks");
    assert_eq!(subnets.len(), 2);
    for subnet in subnets {
        let number = |field: &str| subnet[field].as_f64().expect(field);
        assert!(number("masked_vs_sliced") <= 1e-5, "{subnet}");
        assert!(number("params") < summary["dense"]["params"].as_f64().expect("a number"), "{subnet}");
        assert!(subnet["top1_retrained"].is_number(), "{subnet}");
    }
}
