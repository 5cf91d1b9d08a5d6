//! Tests of activation checkpointing in training steps.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::fixture::{batch, searched, step_settings, vit_config};
use super::step::{Computed, StepSettings};
use crate::data::Batch;
use crate::models::{
    Architecture, ConfigError, ConvNext, ConvNextConfig, DistilledVit, Logits, Swin, SwinConfig, Vit,
    VitConfig, random_model,
};
use crate::nn::{
    BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, DropPath, Linear, LinearConfig, Precision, checkpoint,
};
use crate::slim::{CutTokens, Plan, Slim, Slimmable, describe};

/// Convolutions whose channels are normalised over the batch, averaged and classified.
#[derive(Module, Debug, Slimmable)]
struct ConvNet {
    #[slim]
    blocks: Vec<ConvBlock>,
    head: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct ConvBlock {
    #[slim(output = [hidden])]
    conv1: Conv2d,
    #[slim(output = [hidden], gate)]
    norm: BatchNorm,
    #[slim(input = [hidden])]
    conv2: Conv2d,
    drop_path: DropPath,
}

impl ConvBlock {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let branch = self.norm.forward(self.conv1.forward(x.clone())).clamp_min(0.0);
        x + self.drop_path.forward(self.conv2.forward(branch))
    }
}

impl Architecture for ConvNet {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(_: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        let conv = |channels| Conv2dConfig::new(channels, [1, 1]).init(device);
        let block = || ConvBlock {
            conv1: conv([1, 6]),
            norm: BatchNormConfig::new(6).init(device),
            conv2: conv([6, 1]),
            drop_path: DropPath::new(0.3),
        };
        Ok(Self { blocks: vec![block(), block()], head: LinearConfig::new(64, 10).init(device) })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.blocks.iter().fold(images, |x, block| checkpoint(block, x, ConvBlock::forward));
        self.head.forward(x.flatten::<2>(1, 3)).into()
    }
}

/// `config` as a network in a search on all of its dimensions.
fn search<M: Architecture>(config: &M::Config) -> Slim<M> {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let model = random_model(config, &mut rng, &Device::flex()).unwrap_or_else(|failure| panic!("{failure}"));
    in_search(model)
}

fn in_search<M: Architecture>(model: M) -> Slim<M> {
    searched::<M>(model).train().fork(&Device::flex().autodiff())
}

/// What a step measures, and the gradients of all parameters and masks.
fn step<M: Architecture>(slim: &Slim<M>, settings: StepSettings, batch: &Batch) -> Vec<f32> {
    struct Gradients(GradientsParams, Vec<f32>);
    impl ModuleVisitor for Gradients {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1.extend(gradient.into_data().try_into_vec::<f32>().unwrap());
            }
        }
    }
    let computed = Computed::of(slim, settings, None, batch.clone(), batch.len());
    let (gradients, measured) = Computed::sum(slim, vec![computed]);
    let mut gradients = Gradients(gradients, measured.into_data().try_into_vec().unwrap());
    slim.visit(&mut gradients);
    gradients.1
}

/// Steps with and without checkpointing have the same gradients, to the rounding of a mask's sum over the blocks that share it.
fn assert_same<M: Architecture>(slim: &Slim<M>) {
    let batch = batch(6);
    for (precision, parts) in [(Precision::F32, 1), (Precision::F32, 4), (Precision::Bf16, 1)] {
        let settings = StepSettings { precision, parts, ..step_settings() };
        let expected = step(slim, settings, &batch);
        let found = step(slim, StepSettings { checkpointing: true, ..settings }, &batch);
        assert_eq!(found.len(), expected.len());
        let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        let furthest = expected.iter().zip(&found).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
        assert!(furthest <= 1e-6 * largest, "{precision:?}, {parts} parts: {furthest} of {largest}");
    }
}

#[test]
fn the_gradients_of_all_architectures_are_the_same() {
    let vit = VitConfig { dropout: 0.2, drop_path: 0.3, ..vit_config() };
    assert_same(&search::<Vit>(&vit));
    assert_same(&search::<DistilledVit>(&vit));
    assert_same(&search::<Swin>(&SwinConfig {
        image_size: 8,
        patch_size: 1,
        channels: 1,
        classes: 10,
        dim: 6,
        depths: vec![2, 1],
        heads: vec![2, 3],
        window: 4,
        dropout: 0.2,
        drop_path: 0.3,
        ..SwinConfig::default()
    }));
    assert_same(&search::<ConvNext>(&ConvNextConfig {
        image_size: 8,
        patch_size: 2,
        channels: 1,
        classes: 10,
        dims: vec![6, 8],
        depths: vec![2, 1],
        kernel_size: 3,
        drop_path: 0.3,
        ..ConvNextConfig::default()
    }));
}

/// Their sizes go past the blocks.
#[test]
fn the_gradients_are_the_same_where_tokens_are_merged() {
    let dense = search::<Vit>(&VitConfig { patch_size: 2, ..vit_config() }).model.valid();
    let mut plan = Plan { tokens: CutTokens::Merge, ..Plan::whole(&describe(&dense).unwrap()) };
    for (number, cut) in plan.cuts.iter_mut().filter(|cut| cut.dimension.ends_with("tokens")).enumerate() {
        cut.keep.truncate(cut.units() - 2 * (number + 1));
    }
    assert_same(&in_search(dense.slim(&plan).unwrap()));
}

#[test]
fn running_statistics_take_a_batch_in_once() {
    let statistics = |slim: &Slim<ConvNet>| -> Vec<Vec<f32>> {
        let norms = slim.model.blocks.iter().map(|block| &block.norm);
        let states = norms.flat_map(|norm| [&norm.running_mean, &norm.running_var]);
        states.map(|state| state.value().into_data().try_into_vec().unwrap()).collect()
    };
    let (kept, again) = (search::<ConvNet>(&vit_config()), search::<ConvNet>(&vit_config()));
    let (before, batch) = (statistics(&kept), batch(6));
    let checkpointing = StepSettings { checkpointing: true, ..step_settings() };
    let (expected, found) = (step(&kept, step_settings(), &batch), step(&again, checkpointing, &batch));
    assert!(found == expected);
    assert_eq!(statistics(&kept), statistics(&again));
    assert_ne!(statistics(&kept), before);
}
