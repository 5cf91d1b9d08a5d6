//! How parameters are initialised.

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor};

/// A parameter drawn from a normal distribution with mean 0 and std 0.02, the initialisation of every weight of a ViT (timm's
/// `trunc_normal_(std=.02)`; its bounds of ±2 are a hundred stds away, so nothing is truncated here).
///
/// It is drawn at once and not on first use, so that weights are drawn in the order of the code and a seed always gives the
/// same.
pub fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::random(shape, Distribution::Normal(0.0, 0.02), device))
}
