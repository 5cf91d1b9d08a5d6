//! A whole run of a small network on the digits, with the functions of `vitslim run`: it learns, and resumes where it was
//! stopped.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use burn::tensor::Device;
use serde_json::Value;

use super::check::{Check, Checked};
use super::comparison::Comparison;
use super::failure::Failure;
use super::tolerance::{Products, tolerance};
use crate::device::is_cpu;
use crate::experiment::{Document, Trial};
use crate::models::Vit;
use crate::report::Summary;
use crate::run::{EvaluationSetting, Prepared, RunError, Setting, SplitName, Target, evaluate, execute};
use crate::train::{Devices, Interrupter};

pub(super) const CHECKS: &[Check] =
    &[Check { name: "learns", run: learns }, Check { name: "resumes", run: resumes }];

/// Has everything that a checkpoint must restore: a weight average, clipping, layer-wise learning rates, accumulated
/// batches, stochastic depth, and lines within epochs.
const EXPERIMENT: &str = r#"Experiment(
    name: "selftest",
    seed: 3,
    log_every: 3,
    model: (architecture: "vit", config: (patch_size: 4, dim: 16, depth: 2, heads: 2, mlp_ratio: 2, drop_path: 0.1)),
    data: Digits,
    pretrain: (epochs: 6, batch: 64, accumulate: 2, clip: 1.0, layer_decay: 0.8, optimizer: AdamW(lr: 2e-3)),
    search: (
        epochs: 3,
        batch: 128,
        optimizer: AdamW(lr: 1e-3),
        masks: (lr: 1e-2),
        dimensions: {
            "head_dim": (weight: 1e-2),
            "hidden": (weight: 1e-4),
            "tokens": (weight: 1e-4, activation: Tanh, init: 3.0),
        },
    ),
    budgets: [
        Share({ "head_dim": 0.5, "hidden": 0.5, "tokens": 0.7 }),
    ],
    retrain: (epochs: 3, batch: 128, ema: 0.98, optimizer: AdamW(lr: 1e-3)),
)
"#;

/// Largest difference of losses and penalties between two runs on a GPU, which may add in another order each time. A
/// learning rate that differs in the sixth digit makes 2e-6; batches in another order, or weights of another epoch, make
/// more than 1e-2. (With larger learning rates, training would amplify rounding.)
const REORDERED: f64 = 1e-3;

/// The same for accuracies on a few hundred images.
const FEW_IMAGES: f64 = 0.01;

/// The results of a run.
struct Ended {
    summary: Summary,
    /// `metrics.jsonl` without times.
    metrics: Vec<Value>,
}

fn trial() -> Result<Trial, Failure> {
    Ok(Document::parse("selftest.ron", EXPERIMENT, &[])?.trial()?)
}

fn run(
    prepared: &Prepared<Vit>,
    out: &Path,
    device: &Device,
    interrupter: Interrupter,
) -> Result<Summary, RunError> {
    let setting = Setting {
        out,
        devices: &Devices::one("selftest", device.clone()),
        device_name: "selftest",
        afresh: false,
        interrupter,
        loader_threads: None,
        quiet: true,
    };
    execute(prepared, None, &setting).map(|(_, summary)| summary)
}

fn folder(prepared: &Prepared<Vit>, out: &Path) -> std::path::PathBuf {
    out.join(prepared.experiment.name.as_str()).join(prepared.trial())
}

fn ended(prepared: &Prepared<Vit>, out: &Path, device: &Device) -> Result<Ended, Failure> {
    let summary = run(prepared, out, device, Interrupter::new())?;
    let text = std::fs::read_to_string(folder(prepared, out).join("metrics.jsonl"))?;
    let line = |line: &str| {
        let mut line: Value = serde_json::from_str(line)?;
        if let Some(fields) = line.as_object_mut() {
            fields.remove("seconds");
        }
        Ok(line)
    };
    Ok(Ended { summary, metrics: text.lines().map(line).collect::<Result<_, Failure>>()? })
}

/// A training metric after each epoch of a stage.
fn of_epochs(ended: &Ended, stage: &str, value: &str) -> Vec<f64> {
    let lines = ended.metrics.iter().filter(|line| line["stage"] == stage && line["step"].is_null());
    lines.map(|line| line["train"][value].as_f64().unwrap_or(f64::NAN)).collect()
}

/// Every stage does its job, and the networks can be evaluated again from their files.
fn learns(device: &Device) -> Checked {
    let out = tempfile::tempdir()?;
    let trial = trial()?;
    let prepared = Prepared::<Vit>::new(&trial)?;
    let ended = ended(&prepared, out.path(), device)?;

    let mut comparison = Comparison::default();
    let mut told = Vec::new();
    for (stage, value, most) in
        [("pretrain", "loss", 0.9), ("search", "penalty", 1.0), ("retrain", "loss", 1.0)]
    {
        let values = of_epochs(&ended, stage, value);
        let (first, last) = (values.first().copied(), values.last().copied());
        let (first, last) = (first.unwrap_or(f64::NAN), last.unwrap_or(f64::NAN));
        let change = format!("{stage} {value} {first:.3} to {last:.3}");
        comparison.holds(last < most * first, format!("the {change}"));
        told.push(change);
    }
    let Summary { dense, subnets, .. } = &ended.summary;
    let subnet = subnets.first().ok_or_else(|| Failure::new("there is no sub-network"))?;
    let retrained = subnet.top1_retrained.unwrap_or(f64::NAN);
    for (network, top1) in [("dense", dense.top1), ("retrained", retrained)] {
        // Chance is 0.1.
        comparison.holds(top1 > 0.3, format!("top-1 of the {network} network is {top1}"));
    }
    comparison.holds(subnet.params < dense.params && subnet.macs < dense.macs, "nothing is cut");
    let tolerance = tolerance(device, 1e-5, Products::Network);
    comparison.within("masked against sliced", subnet.masked_vs_sliced, tolerance);

    let setting = EvaluationSetting { data: None, split: SplitName::Test, device, device_name: "selftest" };
    let run = folder(&prepared, out.path());
    for (path, top1) in [(run.clone(), dense.top1), (run.join(&subnet.label), retrained)] {
        let again = evaluate::<Vit>(&trial, &Target::find(&path)?, &setting)?;
        comparison.equal("top-1 of the files", &again.top1, &top1);
    }
    comparison.finish()?;
    Ok(format!("{}, top-1 {:.2}", told.join(", "), dense.top1))
}

/// A run that is stopped in the third epoch of each stage ends like one that is not; on the CPU bit for bit.
fn resumes(device: &Device) -> Checked {
    let prepared = Prepared::<Vit>::new(&trial()?)?;
    let out = tempfile::tempdir()?;
    let expected = ended(&prepared, out.path(), device)?;
    let out = tempfile::tempdir()?;
    let mut stopped = 0;
    for stage in ["pretrain", "search", "retrain"] {
        let in_third_epoch = |line: &Value| line["stage"] == stage && line["epoch"] == 3;
        let first = expected.metrics.iter().position(in_third_epoch).map_or(0, |index| index + 1);
        stopped += usize::from(stop_after(first, &prepared, out.path(), device)?);
    }
    if stopped == 0 {
        return Err(Failure::new("the run always ended before it was stopped"));
    }
    let found = ended(&prepared, out.path(), device)?;

    let mut comparison = Comparison::default();
    comparison.equal("lines", &found.metrics.len(), &expected.metrics.len());
    for (found, expected) in found.metrics.iter().zip(&expected.metrics) {
        let line = place(expected);
        if is_cpu(device) {
            comparison.holds(found == expected, format!("{line} differs"));
            continue;
        }
        for split in ["train", "held_out"] {
            let values = expected[split].as_object().into_iter().flatten();
            for (name, value) in values {
                let tolerance = if name.starts_with("top1") { FEW_IMAGES } else { REORDERED };
                let (found, value) = (found[split][name].as_f64(), value.as_f64());
                let difference = found.zip(value).map_or(f64::NAN, |(found, value)| (found - value).abs());
                comparison.within(format!("{name} of {line}"), difference, tolerance);
            }
        }
    }
    let subnets = found.summary.subnets.iter().zip(&expected.summary.subnets);
    comparison.equal("sub-networks", &found.summary.subnets.len(), &expected.summary.subnets.len());
    for (found, expected) in subnets {
        comparison.equal("size", &(found.params, found.macs), &(expected.params, expected.macs));
        let [a, b] = [found, expected].map(|subnet| subnet.top1_retrained.unwrap_or(f64::NAN));
        match is_cpu(device) {
            true => comparison.equal("retrained top-1", &a, &b),
            false => comparison.within("retrained top-1", (a - b).abs(), FEW_IMAGES),
        }
    }
    Ok(format!("stopped {stopped} times; {}", comparison.finish()?))
}

/// The place of a line: `search, epoch 2, step 12`.
fn place(line: &Value) -> String {
    let stage = line["stage"].as_str().unwrap_or_default();
    let step = line["step"].as_u64().map_or_else(String::new, |step| format!(", step {step}"));
    format!("{stage}, epoch {}{step}", line["epoch"])
}

/// Runs until `lines` lines are recorded, then stops. Returns whether the run was still going.
fn stop_after(lines: usize, prepared: &Prepared<Vit>, out: &Path, device: &Device) -> Result<bool, Failure> {
    let interrupter = Interrupter::new();
    let over = AtomicBool::new(false);
    let metrics = folder(prepared, out).join("metrics.jsonl");
    let ended = thread::scope(|scope| {
        scope.spawn(|| {
            let recorded = || std::fs::read_to_string(&metrics).unwrap_or_default().lines().count();
            while recorded() < lines && !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_millis(1));
            }
            interrupter.stop();
        });
        let _over = Over(&over);
        run(prepared, out, device, interrupter.clone())
    });
    match ended {
        Ok(_) => Ok(false),
        Err(error) if error.is_interruption() => Ok(true),
        Err(error) => Err(error.into()),
    }
}

/// Reports that a run is over, even by a panic, so that nobody waits for it for ever.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}
