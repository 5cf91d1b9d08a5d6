//! A small network in a search, for the tests of this module.

use burn::tensor::{Device, Distribution, Tensor, TensorData};

use super::step::StepSettings;
use crate::data::Batch;
use crate::experiment::{Document, Loss, Search, Training};
use crate::models::{Architecture, Vit, VitConfig};
use crate::nn::Precision;
use crate::slim::{MaskSet, MaskSpec, Slim, Slimmable, describe};

/// A search of `epochs` epochs with `settings`.
pub(super) fn search(epochs: usize, settings: &str) -> Search {
    let text = format!(
        "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, search: (epochs: {epochs}, {settings} \
         optimizer: AdamW(lr: 0.1, weight_decay: 0.5), dimensions: {{ \"hidden\": (weight: 0) }}), budgets: [Share({{ \"hidden\": 0.5 }})])"
    );
    Document::parse("a.ron", &text, &[]).unwrap().experiment().unwrap().search
}

/// A stage of 9 epochs with `settings`.
pub(super) fn training(settings: &str) -> Training {
    search(9, settings).training()
}

/// A step of a whole batch.
pub(super) fn step_settings() -> StepSettings {
    StepSettings {
        parts: 1,
        checkpointing: false,
        loss: Loss::CrossEntropy,
        label_smoothing: 0.0,
        clip: None,
        precision: Precision::F32,
    }
}

/// A configuration for images of 1 x 8 x 8.
pub(super) fn vit_config() -> VitConfig {
    VitConfig {
        image_size: 8,
        patch_size: 4,
        channels: 1,
        classes: 10,
        dim: 12,
        heads: 2,
        depth: 2,
        ..VitConfig::default()
    }
}

/// A ViT for images of 1 x 8 x 8 with a mask on each of its dimensions, in validation mode.
pub(super) fn vit() -> Slim<Vit> {
    searched(Vit::init(&vit_config(), &Device::flex()).unwrap())
}

/// `model` with a mask on each of its dimensions.
pub(super) fn searched<M: Slimmable>(model: M) -> Slim<M> {
    let spec = MaskSpec { weight: 0.01, init: 0.5, ..MaskSpec::default() };
    let searched: Vec<_> = describe(&model).unwrap().into_iter().map(|d| (d, spec)).collect();
    let masks = MaskSet::new(&searched, &Device::flex());
    Slim { model, masks }
}

/// Random images of 1 x 8 x 8, on the CPU with autodiff.
pub(super) fn batch(images: usize) -> Batch {
    let device = Device::flex().autodiff();
    let labels: Vec<i64> = (0..10).cycle().take(images).collect();
    let labels = Tensor::from_data(TensorData::new(labels, [images]), &device);
    let images = Tensor::random([images, 1, 8, 8], Distribution::Normal(0.0, 1.0), &device);
    Batch { images, labels, mixed: None, epoch: 1, step: 1, seed: 5 }
}
