//! The patches of an image.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::VitConfig;
use crate::nn::{Conv2d, Conv2dConfig, NORMAL};
use crate::slim::Slimmable;

/// Values of the smallest patch whose embedding is drawn as in PyTorch and timm. That of smaller ones is drawn as the positions are, with a
/// std of 0.02: 2 x 2 pixels say little by themselves, and a short training learns more of them if their places count as much
/// (`bench/README.md`).
const SMALLEST_PATCH: usize = 16;

/// Splits an image into patches and embeds each.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct PatchEmbed {
    /// The embedding, a convolution whose stride is its kernel. Like timm's, it has no bias if a norm follows.
    #[slim(output = [width], gate)]
    pub proj: Conv2d,
}

impl PatchEmbed {
    pub(in crate::models) fn new(config: &VitConfig, device: &Device) -> Self {
        let patch = [config.patch_size; 2];
        let proj = Conv2dConfig::new([config.channels, config.dim], patch).with_stride(patch);
        let mut proj = proj.with_bias(!config.pre_norm);
        if config.channels * config.patch_size * config.patch_size < SMALLEST_PATCH {
            proj.initializer = NORMAL;
        }
        Self { proj: proj.init(device) }
    }

    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, patches, dim]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        self.proj.forward_patches(images)
    }
}
