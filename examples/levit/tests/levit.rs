//! The annotations of LeViT-128S are proved, and an experiment cuts it.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

const CRATE: &str = env!("CARGO_MANIFEST_DIR");

/// The JSON that the program prints, in this folder, of a command that must end well.
#[track_caller]
fn printed(args: &[&str]) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_levit"));
    let output = command.args(args).current_dir(CRATE).output().expect("the program starts");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text")
}

#[test]
fn the_annotations_are_proved() {
    let checked = printed(&["check", "experiment.ron", "--json", "--set", "search.checkpointing=true"]);
    let found: Value = serde_json::from_str(&checked).expect("JSON");
    assert_eq!(found["reasons"], Value::Array(Vec::new()));
    assert!(!checked.contains("changes nothing"), "no block is handed to `checkpoint`: {checked}");
    let dimensions = found["dimensions"].as_array().expect("dimensions");
    let paths: Vec<&str> =
        dimensions.iter().map(|dimension| dimension["path"].as_str().expect("a path")).collect();
    for path in ["width", "stages.1.width", "stages.0.subsampling.qk", "stages.1.blocks.0.attention.v"] {
        assert!(paths.contains(&path), "no {path} in {paths:?}");
    }
}

#[test]
fn the_experiment_gives_sub_networks_that_are_really_cut() {
    let out = Path::new(env!("CARGO_TARGET_TMPDIR")).join("levit");
    // What an earlier test left may be of another experiment, in whose folder none runs.
    let _ = fs::remove_dir_all(&out);
    // Fewer epochs: in a debug build the whole takes minutes.
    let epochs = ["pretrain.epochs=2", "search.epochs=1", "search.checkpointing=true", "retrain.epochs=1"]
        .map(|epochs| ["--set", epochs]);
    let mut args = vec!["run", "experiment.ron", "--quiet", "--out", out.to_str().expect("a name in UTF-8")];
    args.extend(epochs.concat());
    printed(&args);
    let summary = fs::read(out.join("levit/seed=1/summary.json")).expect("a summary");
    let summary: Value = serde_json::from_slice(&summary).expect("JSON");
    let subnets = summary["subnets"].as_array().expect("sub-networks");
    assert_eq!(subnets.len(), 2);
    for subnet in subnets {
        let number = |value: &Value, field: &str| value[field].as_f64().expect(field);
        assert!(number(subnet, "masked_vs_sliced") <= 1e-4, "{subnet}");
        for cost in ["params", "macs"] {
            assert!(number(subnet, cost) < number(&summary["dense"], cost), "{subnet}");
        }
        // Read back, it classifies as it did.
        let network = out.join("levit/seed=1").join(subnet["label"].as_str().expect("a label"));
        let found = printed(&["eval", network.to_str().expect("a name in UTF-8"), "--json"]);
        let found: Value = serde_json::from_str(&found).expect("JSON");
        assert_eq!(found["top1"], subnet["top1_retrained"], "{subnet}");
    }
}
