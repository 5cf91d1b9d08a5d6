//! Several devices that share the batches of a training.

use std::process::Stdio;

use serde_json::Value;
use vitslim_core::experiment::Document;
use vitslim_core::models::{Vit, VitConfig};
use vitslim_core::prelude::*;
use vitslim_core::run::{Prepared, RunError, Setting, execute};
use vitslim_core::train::{Devices, Interrupter, NamedDevice, TrainError};

use super::resume::{metrics, stage_hit, wait_for_epochs};
use super::training::tensors;
use super::workspace::{TINY, VITSLIM, Workspace, repeatable, said};

const RUN: &str = "runs/tiny/seed=3";

/// With all that layers draw, and another optimizer in each stage, on so many devices.
fn on(devices: &str) -> String {
    TINY.replace("drop_path: 0.1", "drop_path: 0.1, dropout: 0.1")
        .replace("AdamW(lr: 1e-3),", "Lamb(lr: 1e-3),")
        .replace("AdamW(lr: 1e-3))", "Sgd(lr: 1e-2))")
        .replace("    seed: 3,\n", &format!("    seed: 3,\n    devices: {devices},\n    log_every: 4,\n"))
}

/// How a run ended.
struct End {
    /// But for its times and its device.
    summary: Value,
    metrics: Vec<Value>,
    masks: Vec<(String, Vec<f32>)>,
    device: String,
}

fn end(workspace: &Workspace, args: &[&str]) -> End {
    let mut summary = repeatable(workspace.run(&workspace.path("tiny.ron"), args));
    let device = summary.as_object_mut().unwrap().remove("device").unwrap();
    End {
        summary,
        metrics: metrics(&workspace.path(RUN)),
        masks: tensors(&workspace.path("runs"), "masks.safetensors"),
        device: device.as_str().unwrap().to_owned(),
    }
}

impl End {
    /// To the last bit, whatever the devices.
    #[track_caller]
    fn assert_same(&self, other: &Self) {
        assert_eq!(self.summary, other.summary);
        assert!(self.metrics == other.metrics, "other lines in metrics.jsonl");
        assert!(self.masks == other.masks, "other masks");
    }
}

#[test]
fn two_devices_end_as_one_that_computes_in_two_parts() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", &on(r#"["cpu", "cpu"]"#));
    let two = end(&workspace, &[]);
    assert!(two.device.starts_with("2 x cpu, "), "{}", two.device);

    // 1097 images in batches of 128 leave 73, an odd number.
    let workspace = Workspace::new();
    workspace.write("tiny.ron", &on(r#"["cpu"]"#).replace("batch: 128,", "batch: 128, accumulate: 2,"));
    let one = end(&workspace, &[]);
    assert!(one.device.starts_with("cpu, "), "{}", one.device);
    two.assert_same(&one);

    // The command line wins.
    let three = end(&workspace, &["--fresh", "--device", "cpu,cpu,cpu"]);
    assert!(three.device.starts_with("3 x cpu, "), "{}", three.device);
    assert!(three.metrics.len() == two.metrics.len() && three.masks != two.masks);
}

#[test]
fn two_devices_train_as_one_does_with_the_whole_batch() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &TINY.replace(", drop_path: 0.1", ""));
    let losses = |out: &str, device: &str| -> Vec<f64> {
        workspace.run(&file, &["--out", out, "--device", device]);
        let lines = metrics(&workspace.path(out).join("tiny/seed=3"));
        lines.iter().map(|line| line["train"]["loss"].as_f64().unwrap()).collect()
    };
    let (one, two) = (losses("one", "cpu"), losses("two", "cpu,cpu"));
    assert_eq!(one.len(), two.len());
    for (one, two) in one.iter().zip(&two) {
        assert!((one - two).abs() < 1e-3 * one, "{one} {two}");
    }
}

#[test]
fn a_run_that_is_killed_goes_on_as_it_would_have_and_on_other_devices() {
    let whole = Workspace::new();
    let text = on(r#"["cpu", "cpu"]"#);
    whole.write("tiny.ron", &text);
    let expected = end(&whole, &[]);

    let killed = Workspace::new();
    killed.write("tiny.ron", &text);
    let mut child =
        killed.command(VITSLIM, &["run", "tiny.ron", "--quiet"]).stderr(Stdio::null()).spawn().unwrap();
    // In the search: two epochs of pretraining have three lines each.
    wait_for_epochs(&killed.path(RUN), 7, &mut child);
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(stage_hit(&killed.path(RUN), &metrics(&whole.path(RUN))).as_deref(), Some("search"));
    assert!(!killed.path(RUN).join("summary.json").exists());
    end(&killed, &[]).assert_same(&expected);

    // Devices are no part of an experiment by which its folder is known.
    std::fs::remove_file(killed.path(RUN).join("summary.json")).unwrap();
    let resolved = std::fs::read_to_string(killed.path(RUN).join("experiment.ron")).unwrap();
    assert!(!resolved.contains("devices"), "{resolved}");
    let output = killed.vitslim(&["run", "tiny.ron", "--device", "cpu"]);
    let printed = said(&output);
    assert!(output.status.success() && printed.contains("search: complete, 2 epochs"), "{printed}");
}

#[test]
fn devices_that_cannot_share_are_refused_where_they_are_written() {
    let workspace = Workspace::new();
    for (devices, place, expected) in [
        ("[]", "tiny.ron:4:14", "`devices` is empty"),
        (r#""cpu""#, "tiny.ron:4:14", "`devices`: expected a list"),
        (r#"["cpu", "gpu"]"#, "tiny.ron:4:22", "unknown device `gpu`"),
        (r#"["cpu", 1]"#, "tiny.ron:4:22", "expected a string"),
        (r#"["cuda:0", "cuda"]"#, "tiny.ron:4:25", "`cuda:0` is listed twice"),
        (r#"["cuda:0", "cpu"]"#, "tiny.ron:4:25", "cannot share a batch"),
        (r#"["cuda:62", "cuda:63"]"#, "tiny.ron:4:15", "`cuda:62` was asked for"),
    ] {
        workspace.write("tiny.ron", &on(devices));
        let output = workspace.vitslim(&["run", "tiny.ron"]);
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{devices}: {printed}");
        assert!(printed.contains(place) && printed.contains(expected), "{devices}: {printed}");
        assert!(!workspace.path("runs").exists(), "{devices}: something was written");
    }
    let output = workspace.vitslim(&["run", "tiny.ron", "--set", r#"devices=["cpu", "gpu"]"#]);
    let printed = said(&output);
    assert!(printed.contains("--set:1:17") && printed.contains("unknown device `gpu`"), "{printed}");
    let output = workspace.vitslim(&["run", "tiny.ron", "--device", "cuda:1,cuda:1"]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(2), "{printed}");
    assert!(printed.contains("`cuda:1` is listed twice"), "{printed}");
}

/// A network that the second of two devices fails to search.
#[derive(Module, Debug, Slimmable)]
struct TooLarge {
    #[slim]
    vit: Vit,
}

impl Architecture for TooLarge {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        Ok(Self { vit: Vit::init(config, device)? })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        // Of a batch of 127 images, the first device computes 64, and the second 63.
        assert!(images.dims()[0] != 63, "out of memory");
        self.vit.forward(images)
    }
}

#[test]
fn a_device_that_fails_ends_the_run_by_name() {
    let workspace = Workspace::new();
    let odd = TINY.replace("batch: 128", "batch: 127");
    let trial = Document::parse("tiny.ron", &odd, &[]).unwrap().trial().unwrap();
    let prepared = Prepared::<TooLarge>::new(&trial).unwrap();
    let cpu = NamedDevice { name: "cpu".to_owned(), device: Device::flex() };
    let setting = Setting {
        out: &workspace.path("runs"),
        devices: &Devices { first: cpu.clone(), others: vec![cpu] },
        device_name: "2 x cpu",
        afresh: false,
        interrupter: Interrupter::new(),
        loader_threads: None,
        quiet: true,
    };
    let Err(RunError::Train(error)) = execute(&prepared, None, &setting) else { panic!("it did not fail") };
    assert!(matches!(error, TrainError::Device { .. }), "{error}");
    let told = "pretrain was stopped: `cpu` (device 2 of 2) failed: out of memory";
    assert_eq!(error.to_string(), told);
    assert!(metrics(&workspace.path(RUN)).is_empty());
}
