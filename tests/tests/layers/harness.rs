//! The checks, and what a small network must have for them.

use std::sync::OnceLock;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, FloatDType, Tensor};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vitslim_core::slim::{Dimension, MaskSet, MaskSpec, NormStatistics, Plan, Slimmable, describe};
use vitslim_core::values::random;

const TOLERANCE: f64 = 1e-10;

/// A network of a few layers.
pub trait Network: Slimmable {
    fn new(device: &Device) -> Self;

    /// `x` is `[2, 4, 5, 3]`; `masks` multiply activations where they stand, and are empty where the network itself is
    /// gated or sliced.
    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2>;
}

/// Factors of each dimension, to multiply activations with.
#[derive(Default)]
pub struct Masks(Vec<(String, Tensor<1>)>);

impl Masks {
    /// Number of dimensions that activations are masked by.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// `x` with entry `i` of `axis` multiplied by the factor `i % units` of the dimension at `path`.
    pub fn on<const D: usize>(&self, path: &str, x: Tensor<D>, axis: usize) -> Tensor<D> {
        let Some((_, factors)) = self.0.iter().find(|(other, _)| other == path) else { return x };
        let mut shape = [1; D];
        shape[axis] = x.dims()[axis];
        x * factors.clone().repeat_dim(0, shape[axis] / factors.dims()[0]).reshape(shape)
    }
}

pub fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    DEVICE
        .get_or_init(|| {
            let mut device = Device::flex();
            device.configure(FloatDType::F64).expect("nothing was computed before");
            device
        })
        .clone()
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_into_vec::<f64>().expect("computed in f64")
}

/// Tokens of `x`, `[2, 15, 4]`.
pub fn tokens(x: Tensor<4>) -> Tensor<3> {
    x.flatten::<3>(2, 3).swap_dims(1, 2)
}

/// Tokens `x` multiplied by `scale`, feature by feature. Burn cannot unsqueeze what has no features.
pub fn scaled(x: Tensor<3>, scale: &Param<Tensor<1>>) -> Tensor<3> {
    if x.dims()[2] == 0 { x } else { x * scale.val().unsqueeze() }
}

/// What a network returns.
pub fn flat<const D: usize>(x: Tensor<D>) -> Tensor<2> {
    x.flatten(1, D - 1)
}

/// Every parameter random, biases and norms too: a bias of 0 would hide a bias that was left out. A variance is positive.
struct Randomise<'a> {
    rng: &'a mut ChaCha8Rng,
    name: String,
}

impl ModuleMapper for Randomise<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.name = name.to_owned();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_variance = self.name == "running_var";
        param.map(|old| {
            let drawn = random(old.dims(), self.rng, &old.device());
            if is_variance { drawn.abs() + 0.5 } else { drawn }
        })
    }
}

pub fn network<N: Network>(rng: &mut ChaCha8Rng) -> N {
    N::new(&device()).map(&mut Randomise { rng, name: String::new() })
}

pub fn input(rng: &mut ChaCha8Rng) -> Tensor<4> {
    random([2, 4, 5, 3], rng, &device())
}

/// Of each dimension all units, some, one or none.
pub fn draw_plan(dimensions: &[Dimension], rng: &mut ChaCha8Rng) -> Plan {
    let mut plan = Plan::whole(dimensions);
    for cut in &mut plan.cuts {
        let units = cut.units();
        cut.keep = match rng.random_range(0..8) {
            0 => continue,
            1 => vec![],
            2 => vec![rng.random_range(0..units)],
            _ => (0..units).filter(|_| rng.random_bool(0.6)).collect(),
        };
    }
    plan.norm = *[NormStatistics::Original, NormStatistics::Sliced].choose(rng).unwrap();
    plan
}

fn furthest(a: &[f64], b: &[f64]) -> f64 {
    assert!(a.len() == b.len() && !a.is_empty());
    let scale = a.iter().fold(1e-3_f64, |scale, value| scale.max(value.abs()));
    let differences = a.iter().zip(b).map(|(a, b)| (a - b).abs() / scale);
    // A NaN is far away.
    differences.fold(0.0, |most, d| if d <= most { most } else { d })
}

/// All that must hold of a network.
pub fn check<N: Network>() {
    masked_equals_sliced::<N>();
    gated_weights_are_gated_activations::<N>();
    every_mask_gets_a_gradient::<N>();
}

fn masked_equals_sliced<N: Network>() {
    for seed in 0..60 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network: N = network(&mut rng);
        let plan = draw_plan(&describe(&network).unwrap(), &mut rng);
        let x = input(&mut rng);
        let forward = |network: N| host(network.forward(x.clone(), &Masks::default()));
        let (masked, sliced) = (network.hard_mask(&plan).unwrap(), network.slim(&plan).unwrap());
        assert!(sliced.num_params() <= network.num_params());
        let found = furthest(&forward(masked), &forward(sliced));
        assert!(found < TOLERANCE, "seed {seed}: differs by {found:e}; {plan:?}");
    }
}

fn gated_weights_are_gated_activations<N: Network>() {
    for seed in 0..10 {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let network: N = network(&mut rng);
        let masks = masks(&network, &device(), &mut rng);
        let x = input(&mut rng);
        let gated = host(network.gate(&masks).forward(x.clone(), &Masks::default()));
        let folded = host(network.fold(&masks).forward(x.clone(), &Masks::default()));
        let factors = masks.iter().map(|mask| (mask.path.clone(), mask.unit_factors()));
        let expected = host(network.forward(x.clone(), &Masks(factors.collect())));
        for found in [gated, folded] {
            let found = furthest(&expected, &found);
            assert!(found < TOLERANCE, "seed {seed}: differs by {found:e}");
        }
        let plain = host(network.forward(x, &Masks::default()));
        assert!(furthest(&expected, &plain) > 1e-3, "seed {seed}: the masks do nothing");
    }
}

/// Random masks of all dimensions.
pub fn masks<N: Network>(network: &N, device: &Device, rng: &mut ChaCha8Rng) -> MaskSet {
    let dimensions = describe(network).unwrap();
    let searched: Vec<_> = dimensions.into_iter().map(|d| (d, MaskSpec::default())).collect();
    MaskSet::new(&searched, device).map_values(|_, old| random(old.dims(), rng, device))
}

fn every_mask_gets_a_gradient<N: Network>() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let training = device().autodiff();
    let network = network::<N>(&mut rng).train();
    let masks = masks(&network, &device(), &mut rng).train();
    let x = Tensor::from_inner(input(&mut rng));
    assert!(x.device().is_autodiff() && training.is_autodiff());
    let gradients = network.gate(&masks).forward(x, &Masks::default()).square().sum().backward();
    for mask in masks.iter() {
        let gradient = mask.values.grad(&gradients).unwrap_or_else(|| panic!("{} has none", mask.path));
        let gradient = host(gradient);
        assert!(gradient.iter().all(|g| g.is_finite() && *g != 0.0), "{}: {gradient:?}", mask.path);
    }
}
