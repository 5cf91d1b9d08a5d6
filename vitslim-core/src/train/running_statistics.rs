//! Tests of the running statistics of a batch norm in training.

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::fixture::{searched, step_settings, training};
use super::step::StepSettings;
use super::team::{Devices, NamedDevice, Team};
use super::trainer::{Trainer, TrainerSettings};
use crate::data::{Batch, ImageShape};
use crate::experiment::Masks;
use crate::models::{Architecture, ConfigError, Logits, VitConfig, random_model};
use crate::nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Linear, LinearConfig, Precision};
use crate::slim::{Slim, Slimmable};
use crate::values::random;

/// A convolution whose channels are normalised, averaged and classified.
#[derive(Module, Debug, Slimmable)]
struct Net {
    #[slim(output = [hidden])]
    conv: Conv2d,
    #[slim(output = [hidden], gate)]
    norm: BatchNorm,
    #[slim(input = [hidden])]
    head: Linear,
}

impl Architecture for Net {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(_: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        Ok(Self {
            conv: Conv2dConfig::new([1, 6], [3, 3]).init(device),
            norm: BatchNormConfig::new(6).init(device),
            head: LinearConfig::new(6, 10).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.norm.forward(self.conv.forward(images)).clamp_min(0.0);
        self.head.forward(x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim::<2>(2)).into()
    }
}

/// A search of a network with settled running statistics.
fn search() -> Slim<Net> {
    let device = Device::flex();
    // Not drawn from the generator of the device, which other tests use at the same time.
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let model: Net =
        random_model(&VitConfig::default(), &mut rng, &device).unwrap_or_else(|failure| panic!("{failure}"));
    searched(model)
}

fn batch() -> Batch {
    let device = Device::flex().autodiff();
    let labels = Tensor::from_data(TensorData::new((0..10_i64).collect(), [10]), &device);
    let images = random([10, 1, 8, 8], &mut ChaCha8Rng::seed_from_u64(4), &device) * 2.0 + 1.0;
    Batch { images, labels, mixed: None, epoch: 1, step: 1, seed: 5 }
}

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn statistics(slim: &Slim<Net>) -> Vec<f32> {
    let norm = &slim.model.norm;
    [bits(norm.running_mean.value()), bits(norm.running_var.value())].concat()
}

/// The expected running statistics after training on `images`.
fn expected(slim: &Slim<Net>, images: Tensor<4>) -> Vec<f32> {
    let read = slim.model.conv.forward(images).swap_dims(0, 1).flatten::<2>(1, 3);
    let mean = read.clone().mean_dim(1);
    let variance = (read - mean.clone()).square().mean_dim(1);
    let of_batch = [bits(mean), bits(variance)].concat();
    statistics(slim).iter().zip(of_batch).map(|(old, new)| old * 0.9 + new * 0.1).collect()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let furthest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest < 1e-5, "{found:?} {expected:?}");
}

/// Gradients from several devices equal those of one device that accumulates, to the last bit. Running statistics are not sums
/// over images: those of the first device are kept, in whatever order the threads run.
#[test]
fn of_several_devices_the_statistics_of_the_first_count() {
    let cpu = NamedDevice { name: "cpu".to_owned(), device: Device::flex() };
    let batch = batch();
    let gradient = |others: usize, slim: &Slim<Net>, parts| {
        let team = Team::new(&Devices { first: cpu.clone(), others: vec![cpu.clone(); others] }, None);
        let settings = StepSettings { parts, ..step_settings() };
        let (gradients, _) = team.compute(slim, settings, batch.clone()).unwrap();
        bits(gradients.get::<4>(slim.model.conv.weight.id).unwrap())
    };
    let training = || search().train().fork(&Device::flex().autodiff());
    for others in [0, 1, 2] {
        let mut before = None;
        for _ in 0..5 {
            let together = training();
            let first = batch.clone().parts(1 + others).next().unwrap();
            let expected = expected(&together, first.images);
            let gradient_together = gradient(others, &together, 1);
            let found = statistics(&together);
            assert_close(&found, &expected);
            assert_eq!(*before.get_or_insert_with(|| found.clone()), found);
            assert_eq!(gradient_together, gradient(0, &training(), 1 + others));
        }
    }
}

#[test]
fn statistics_outlive_the_step_and_go_on() {
    let settings = TrainerSettings {
        training: &training(""),
        masks: &Masks::default(),
        freeze: None,
        dense: None,
        teacher: None,
        precision: Precision::F32,
        devices: &Devices::one("cpu", Device::flex()),
        steps: 3,
        image: ImageShape { channels: 3, size: 8 },
        read_every: 1,
    };
    let mut trainer = Trainer::new(search(), settings).unwrap();
    for _ in 0..3 {
        let expected = expected(&trainer.slim(), batch().images.inner());
        trainer = trainer.step(batch()).unwrap();
        assert_close(&statistics(&trainer.slim()), &expected);
    }
    let saved = trainer.slim().into_record();
    assert_eq!(statistics(&search().load_record(saved)), statistics(&trainer.slim()));
}
