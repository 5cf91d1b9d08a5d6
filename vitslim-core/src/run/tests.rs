//! Runs whose device has too little memory.

use std::path::Path;

use burn::module::Module;
use burn::tensor::{Device, Tensor};
use miette::Diagnostic;
use vitslim_macros::Slimmable;

use super::{Prepared, RunError, Setting, execute};
use crate::experiment::Document;
use crate::models::{Architecture, ConfigError, Logits, Vit, VitConfig};
use crate::report::Summary;
use crate::train::{Devices, Interrupter};

/// Images that there is memory for in training.
const ROOM: usize = 10;

/// A network that fails as on a device whose memory is for [`ROOM`] images in training, and for `HELD_OUT` at any time.
#[derive(Module, Debug, Slimmable)]
struct Hungry<const HELD_OUT: usize> {
    #[slim]
    vit: Vit,
}

impl<const HELD_OUT: usize> Architecture for Hungry<HELD_OUT> {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        Ok(Self { vit: Vit::init(config, device)? })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let room = if images.device().is_autodiff() { ROOM } else { HELD_OUT };
        if images.dims()[0] > room {
            panic!(
                "An error happened during execution\nCaused by:\n  out of device memory allocating 9 bytes"
            );
        }
        self.vit.forward(images)
    }
}

fn run<const HELD_OUT: usize>(out: &Path, sets: &[&str]) -> Result<Summary, RunError> {
    let text = "Experiment(name: \"a\", seed: 1, model: (architecture: \"hungry\", config: (patch_size: 4, dim: 8, \
                depth: 1, heads: 2)), data: Random(image_size: 8, channels: 1, classes: 3, images: 100), \
                pretrain: (epochs: 1, batch: 40, optimizer: AdamW(lr: 1e-3)), search: (epochs: 1, batch: 10, \
                optimizer: AdamW(lr: 1e-3), dimensions: { \"hidden\": (weight: 1e-4) }), \
                budgets: [Share({ \"hidden\": 0.5 })])";
    let sets: Vec<String> = sets.iter().map(|set| (*set).to_owned()).collect();
    let document = Document::parse("a.ron", text, &sets).unwrap();
    let prepared = Prepared::<Hungry<HELD_OUT>>::new(&document.trial().unwrap())?;
    execute_quietly(&prepared, out)
}

/// Runs `prepared` on the CPU.
pub(super) fn execute_quietly<A: Architecture>(
    prepared: &Prepared<A>,
    out: &Path,
) -> Result<Summary, RunError> {
    let setting = Setting {
        out,
        devices: &Devices::one("cpu", Device::flex()),
        device_name: "cpu",
        afresh: false,
        interrupter: Interrupter::new(),
        loader_threads: None,
        quiet: true,
    };
    execute(prepared, None, &setting).map(|(_, summary)| summary)
}

fn said(error: RunError) -> (String, String) {
    (error.to_string(), error.help().unwrap().to_string())
}

#[test]
fn a_batch_that_does_not_fit_can_be_computed_in_more_parts_in_the_same_folder() {
    let out = tempfile::tempdir().unwrap();
    let (error, help) = said(run::<1000>(out.path(), &[]).unwrap_err());
    assert_eq!(error, "pretrain ran out of memory on the device, at a batch of 40 images");
    assert!(help.contains("`--set pretrain.accumulate=2`"), "{help}");
    assert!(help.contains("`--set pretrain.batch=20`"), "{help}");
    let (error, help) = said(run::<1000>(out.path(), &["pretrain.accumulate=2"]).unwrap_err());
    assert_eq!(
        error,
        "pretrain ran out of memory on the device, at a batch of 40 images computed in 2 parts"
    );
    assert!(help.contains("`--set pretrain.accumulate=4`"), "{help}");

    // Another stage, when epochs are saved: what they were trained with stays.
    let accumulate = ["pretrain.accumulate=4", "search.batch=20"];
    let (error, help) = said(run::<1000>(out.path(), &accumulate).unwrap_err());
    assert_eq!(error, "search ran out of memory on the device, at a batch of 20 images");
    assert!(help.contains("`--set search.accumulate=2`") && help.contains("give another folder"), "{help}");
    let more = [&accumulate[..], &["search.accumulate=2"]].concat();
    let (error, _) = said(run::<1000>(out.path(), &more).unwrap_err());
    assert!(error.contains("holds the results of another experiment"), "{error}");

    let elsewhere = out.path().join("elsewhere");
    let summary = run::<1000>(&elsewhere, &more).unwrap();
    assert_eq!(summary.subnets.len(), 1);
}

#[test]
fn scores_that_do_not_fit_can_be_computed_in_more_parts() {
    let out = tempfile::tempdir().unwrap();
    let sets = ["pretrain.accumulate=4", "search.batch=20", "importance=Taylor"];
    let (error, help) = said(run::<1000>(out.path(), &sets).unwrap_err());
    assert_eq!(error, "the units cannot be scored: the device ran out of memory, with 20 images at once");
    assert!(help.contains("`--set search.accumulate=2`") && help.contains("give another folder"), "{help}");
    let more = [&sets[..], &["search.accumulate=2"]].concat();
    run::<1000>(&out.path().join("elsewhere"), &more).unwrap();
}

#[test]
fn evaluating_says_how_many_images_at_once() {
    let out = tempfile::tempdir().unwrap();
    let sets = ["pretrain.accumulate=4"];
    let (error, help) = said(run::<9>(out.path(), &sets).unwrap_err());
    assert_eq!(error, "pretrain ran out of memory on the device, with 10 validation images at once");
    assert!(help.contains("`--device`") && !help.contains("accumulate"), "{help}");

    let room = tempfile::tempdir().unwrap();
    let (error, help) = said(run::<63>(room.path(), &sets).unwrap_err());
    assert_eq!(error, "the device ran out of memory, with 64 images at once");
    assert!(help.contains("`--device`"), "{help}");
}
