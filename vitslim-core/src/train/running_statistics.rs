//! Tests: the running statistics of a batch norm while it is trained.

use burn::module::Module;
use burn::optim::AdamWConfig;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::TrainStep;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::parallel::{Devices, NamedDevice, Team};
use super::step::{StepSettings, Trainee};
use super::watch::Watch;
use crate::data::Batch;
use crate::models::{Architecture, ConfigError, Logits, VitConfig, random_model};
use crate::nn::{BatchNorm, BatchNormConfig, Conv2d, Conv2dConfig, Linear, LinearConfig, Precision};
use crate::slim::{MaskSet, MaskSpec, Slim, Slimmable, describe};
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
fn trainee(parts: usize) -> Trainee<Net> {
    let device = Device::flex();
    // Not from the generator of the device, which tests beside this one draw from.
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let model: Net =
        random_model(&VitConfig::default(), &mut rng, &device).unwrap_or_else(|failure| panic!("{failure}"));
    let spec = MaskSpec { weight: 0.01, init: 0.5, ..MaskSpec::default() };
    let searched: Vec<_> = describe(&model).unwrap().into_iter().map(|d| (d, spec)).collect();
    let masks = MaskSet::new(&searched, &device);
    let settings = StepSettings { parts, label_smoothing: 0.0, clip: Some(0.3), precision: Precision::F32 };
    Trainee::new(Slim { model, masks }, settings, Watch::default()).train().fork(&device.autodiff())
}

fn batch() -> Batch {
    let device = Device::flex().autodiff();
    let labels = Tensor::from_data(TensorData::new((0..10_i64).collect(), [10]), &device);
    let images = random([10, 1, 8, 8], &mut ChaCha8Rng::seed_from_u64(4), &device) * 2.0 + 1.0;
    Batch { images, labels, epoch: 1, step: 1, seed: 5 }
}

fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().try_into_vec().unwrap()
}

fn statistics(trainee: &Trainee<Net>) -> Vec<f32> {
    let norm = &trainee.slim.model.norm;
    [bits(norm.running_mean.value()), bits(norm.running_var.value())].concat()
}

/// What becomes of the running statistics when `images` are trained on.
fn expected(trainee: &Trainee<Net>, images: Tensor<4>) -> Vec<f32> {
    let read = trainee.slim.model.conv.forward(images).swap_dims(0, 1).flatten::<2>(1, 3);
    let mean = read.clone().mean_dim(1);
    let variance = (read - mean.clone()).square().mean_dim(1);
    let of_batch = [bits(mean), bits(variance)].concat();
    statistics(trainee).iter().zip(of_batch).map(|(old, new)| old * 0.9 + new * 0.1).collect()
}

fn assert_close(found: &[f32], expected: &[f32]) {
    let furthest = found.iter().zip(expected).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(furthest < 1e-5, "{found:?} {expected:?}");
}

/// Several devices give the gradients of one that accumulates, to the last bit; of the running statistics, which are no
/// sum over images, those that the first device saw count, however the threads run.
#[test]
fn of_several_devices_the_statistics_of_the_first_count() {
    let cpu = NamedDevice { name: "cpu".to_owned(), device: Device::flex() };
    let batch = batch();
    for others in [0, 1, 2] {
        let team = Team::new(&Devices { first: cpu.clone(), others: vec![cpu.clone(); others] });
        let mut before = None;
        for _ in 0..5 {
            let whole = trainee(1);
            let share = batch.clone().parts(1 + others).next().unwrap();
            let expected = expected(&whole, share.images);
            let step = team.step(whole.clone(), batch.clone()).map_err(|failure| failure.reason).unwrap();
            let found = statistics(&whole);
            assert_close(&found, &expected);
            assert_eq!(*before.get_or_insert_with(|| found.clone()), found);

            let in_parts = trainee(1 + others);
            let one_by_one = TrainStep::step(&in_parts, batch.clone());
            let gradient = |trainee: &Trainee<Net>, step: &burn::train::TrainOutput<_>| {
                bits(step.grads.get::<4>(trainee.slim.model.conv.weight.id).unwrap())
            };
            assert_eq!(gradient(&whole, &step), gradient(&in_parts, &one_by_one));
        }
    }
}

#[test]
fn statistics_outlive_the_step_and_go_on() {
    let mut trainee = trainee(1);
    let mut optimizer = AdamWConfig::new().init();
    let batch = batch();
    for _ in 0..3 {
        let expected = expected(&trainee, batch.images.clone());
        let step = TrainStep::step(&trainee, batch.clone());
        trainee = optimizer.step(1e-2, trainee, step.grads);
        assert_close(&statistics(&trainee), &expected);
    }
    let saved = trainee.valid().into_record();
    let loaded = self::trainee(1).load_record(saved);
    assert_eq!(statistics(&loaded), statistics(&trainee));
}
