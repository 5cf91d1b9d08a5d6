//! How parameters start.

use burn::module::Param;
use burn::tensor::{Device, Distribution, Tensor};

/// A parameter drawn from a normal distribution with mean 0 and deviation 0.02, the start of every weight of a ViT
/// (timm's `trunc_normal_(std=.02)`; its cut at ±2 lies a hundred deviations away, so that none is made here).
///
/// Drawn at once and not on first use: the order of the draws, and so the weights that a seed gives, is that of the code.
pub fn normal<const D: usize>(shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::random(shape, Distribution::Normal(0.0, 0.02), device))
}
