//! What an experiment's `precision` does, and where it cannot be had.

use safetensors::{Dtype, SafeTensors};
use serde_json::Value;

use super::workspace::{TINY, Workspace, json, said};

const RUN: &str = "tiny/seed=3";

fn of_precision(precision: &str) -> String {
    TINY.replacen("seed: 3,", &format!("seed: 3, precision: {precision},"), 1)
}

/// The loss of each epoch.
fn losses(workspace: &Workspace, out: &str) -> Vec<f64> {
    let text = std::fs::read_to_string(workspace.path(&format!("{out}/{RUN}/metrics.jsonl"))).unwrap();
    let lines = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    lines.map(|line| line["train"]["loss"].as_f64().unwrap()).collect()
}

#[test]
fn a_run_in_bf16_is_near_the_one_in_f32_and_its_results_say_so() {
    let workspace = Workspace::new();
    let exact = workspace.run(&workspace.write("f32.ron", TINY), &["--out", "f32"]);
    assert!(exact["device"].as_str().unwrap().ends_with(", f32"), "{}", exact["device"]);
    let file = workspace.write("bf16.ron", &of_precision("Bf16"));
    let summary = workspace.run(&file, &["--out", "bf16"]);
    assert!(summary["device"].as_str().unwrap().ends_with(", bf16"), "{}", summary["device"]);

    let (exact_losses, losses) = (losses(&workspace, "f32"), losses(&workspace, "bf16"));
    assert_eq!(losses.len(), exact_losses.len());
    for (epoch, (exact, rounded)) in exact_losses.iter().zip(&losses).enumerate() {
        let apart = (exact - rounded).abs() / exact;
        assert!(apart > 0.0 && apart < 0.02, "epoch {epoch}: {exact} {rounded}");
    }
    for subnet in summary["subnets"].as_array().unwrap() {
        // It is measured in f32.
        assert!(subnet["masked_vs_sliced"].as_f64().unwrap() <= 1e-5, "{subnet}");
    }
    assert_eq!(summary["dense"]["macs"], exact["dense"]["macs"]);

    for file in ["masks.safetensors", "subnets/share-0.1/model.safetensors"] {
        let bytes = std::fs::read(workspace.path(&format!("bf16/{RUN}/{file}"))).unwrap();
        for (name, tensor) in SafeTensors::deserialize(&bytes).unwrap().tensors() {
            assert_eq!(tensor.dtype(), Dtype::F32, "{name}");
        }
    }

    let told = |command: &str, more: &[&str]| -> Value {
        let run = format!("bf16/{RUN}");
        let output = workspace.vitslim(&[&[command, &run, "--json"], more].concat());
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let evaluation = told("eval", &[]);
    assert_eq!((&evaluation["top1"], &evaluation["device"]), (&summary["dense"]["top1"], &summary["device"]));
    let benchmark = told("bench", &["--batch", "4", "--rounds", "1"]);
    assert_eq!(benchmark["experiments"][0]["precision"], "bf16");

    let resolved = workspace.path(&format!("bf16/{RUN}/experiment.ron"));
    assert!(std::fs::read_to_string(&resolved).unwrap().contains("precision: Bf16,"));
    let again = workspace.run(&resolved, &["--out", "again"]);
    assert_eq!(again["subnets"][0]["top1_retrained"], summary["subnets"][0]["top1_retrained"]);
    assert_eq!(json(&workspace.path(&format!("again/{RUN}/summary.json"))), again);
}

#[test]
fn there_is_no_tf32_on_the_cpu() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &of_precision("Tf32"));
    let file = file.to_str().unwrap();
    for (args, place) in [
        (&["run", file][..], "tiny.ron:3:25"),
        (&["bench", file], "tiny.ron:3:25"),
        (&["run", file, "--set", "precision=Tf32"], "--set:1:11"),
    ] {
        let output = workspace.vitslim(args);
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        for part in [place, "there is no TF32 on the CPU", "write `precision: F32`", "--device cuda"] {
            assert!(printed.contains(part), "{args:?} does not say `{part}` but: {printed}");
        }
    }
    assert!(!workspace.path("runs").exists(), "something was written");
}

#[test]
fn features_of_the_dense_network_teach_in_bf16() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &of_precision("Bf16"));
    let taught_by = |out: &str, teacher: &str| {
        // A loss that is not finite would end the run.
        workspace.run(&file, &["--out", out, "--set", &format!("retrain.teacher={teacher}")]);
        losses(&workspace, out)
    };
    let (logits, features) = (taught_by("logits", "Dense"), taught_by("features", "Dense(features: 0.5)"));
    let (before, retrained) = features.split_at(4);
    assert_eq!((before, retrained.len()), (&logits[..4], 2));
    for (features, logits) in retrained.iter().zip(&logits[4..]) {
        assert!(features > logits, "{features} with features, {logits} without");
    }
}
