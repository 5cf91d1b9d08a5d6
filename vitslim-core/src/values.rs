//! Values of tensors: drawn at random, the same on every device, and compared.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

/// Values from -1 to 1. They come from `rng` and not from the device, whose generator is shared.
pub fn random<const D: usize>(shape: [usize; D], rng: &mut ChaCha8Rng, device: &Device) -> Tensor<D> {
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// `model` with every parameter random: biases, shifts and tokens too, since a bias of 0 would hide that it was left out.
///
/// Weights are small enough that their outputs are as large as their inputs, so that even the deepest network has logits
/// worth comparing.
pub fn randomised<M: Module>(model: M, rng: &mut ChaCha8Rng) -> M {
    model.map(&mut Randomise { path: Vec::new(), rng })
}

/// `model` with the absolute value of every parameter.
pub fn positive<M: Module>(model: M) -> M {
    model.map(&mut Positive)
}

struct Positive;

impl ModuleMapper for Positive {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(Tensor::abs)
    }
}

struct Randomise<'a> {
    path: Vec<String>,
    rng: &'a mut ChaCha8Rng,
}

impl ModuleMapper for Randomise<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let shape = param.dims();
        let largest = shape.iter().copied().max().unwrap_or(1).max(1);
        let inputs = shape.iter().product::<usize>() / largest;
        // Uniform values below this have a variance of one over the inputs.
        let most = (3.0 / inputs.max(3) as f64).sqrt();
        // A variance is positive.
        let is_variance = self.path.last().is_some_and(|name| name == "running_var");
        let range = if is_variance { 0.5..1.5 } else { -most..most };
        param.map(|old| {
            let values: Vec<f64> =
                (0..shape.iter().product()).map(|_| self.rng.random_range(range.clone())).collect();
            Tensor::from_data(TensorData::new(values, shape), &old.device())
        })
    }
}

/// The largest difference between `found` and `expected`; NaN where either has one.
pub fn furthest(found: &[f64], expected: &[f64]) -> f64 {
    let differences = found.iter().zip(expected).map(|(found, expected)| (found - expected).abs());
    differences.fold(0.0, |most: f64, d| {
        if d.is_nan() {
            d
        } else if most.is_nan() {
            most
        } else {
            most.max(d)
        }
    })
}

/// The largest difference over the largest value of `expected`; infinite where a value is not finite or the sizes differ.
pub fn relative_difference(expected: &[f64], found: &[f64]) -> f64 {
    let scale = expected.iter().fold(1e-3_f64, |scale, value| scale.max(value.abs()));
    let difference = furthest(found, expected) / scale;
    if expected.len() == found.len() && difference.is_finite() { difference } else { f64::INFINITY }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_furthest() {
        let nan = f64::NAN;
        assert_eq!(furthest(&[1.0, 2.5], &[1.5, 2.0]), 0.5);
        assert!(furthest(&[nan, 1.0], &[1.0, 1.0]).is_nan() && furthest(&[1.0, nan], &[1.0, 1.0]).is_nan());
        assert_eq!(relative_difference(&[-4.0, 1.0], &[-4.0, 2.0]), 0.25);
        for found in [&[nan, 1.0][..], &[f64::INFINITY, 1.0], &[1.0]] {
            assert_eq!(relative_difference(&[1.0, 1.0], found), f64::INFINITY);
        }
    }
}
