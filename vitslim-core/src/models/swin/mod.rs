//! The Swin Transformer (Liu et al. 2021). Names of parts are timm's.

mod block;
mod config;
mod merging;
mod norm;
mod window;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Architecture, ConfigError, Features, Logits, Patches};
use crate::nn::{Conv2d, Conv2dConfig, Dropout, LayerNorm, Linear, LinearConfig, checkpoint};
use crate::slim::Slimmable;

pub use block::SwinBlock;
pub use config::SwinConfig;
pub use merging::PatchMerging;
use norm::norm;
pub use window::WindowAttention;

/// Splits an image into patches, embeds each, and normalises.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct PatchEmbed {
    /// The embedding, a convolution whose stride is its kernel.
    #[slim(output = [width], gate)]
    pub proj: Conv2d,
    /// Norm after the embedding.
    #[slim(output = [width], gate)]
    pub norm: LayerNorm,
}

impl PatchEmbed {
    fn new(config: &SwinConfig, device: &Device) -> Self {
        let patch = [config.patch_size; 2];
        let proj = Conv2dConfig::new([config.channels, config.dim], patch).with_stride(patch);
        Self { proj: proj.init(device), norm: norm(config.dim, device) }
    }

    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, patches, dim]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        self.norm.forward(self.proj.forward_patches(images))
    }
}

/// The merging of the former stage's patches, and blocks of one width.
#[derive(Module, Debug, Slimmable)]
#[slim(own = [width])]
pub struct Stage {
    /// Merges the patches of the former stage; the first stage has none.
    #[slim]
    pub downsample: Option<PatchMerging>,
    /// The blocks.
    #[slim]
    pub blocks: Vec<SwinBlock>,
}

impl Stage {
    fn new(config: &SwinConfig, stage: usize, device: &Device) -> Self {
        let former = stage.checked_sub(1);
        let merging = |former| {
            let (from, to) = (config.dim_at(former), config.dim_at(stage));
            PatchMerging::new(config.side_at(former), from, to, device)
        };
        let before: usize = config.depths[..stage].iter().sum();
        let block = |block| SwinBlock::new(config, stage, block, before + block, device);
        Self { downsample: former.map(merging), blocks: (0..config.depths[stage]).map(block).collect() }
    }

    /// # Shapes
    ///
    /// - x: `[batch, former_patches, former_dim]`
    /// - output: `[batch, patches, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = match &self.downsample {
            Some(downsample) => downsample.forward(x),
            None => x,
        };
        self.blocks.iter().fold(x, |x, block| checkpoint(block, x, SwinBlock::forward))
    }
}

/// Classifies by the mean of all patches.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Head {
    /// The classifier.
    #[slim(input = [width])]
    pub fc: Linear,
}

impl Head {
    /// # Shapes
    ///
    /// - x: `[batch, patches, dim]`
    /// - output: `[batch, classes]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<2> {
        self.fc.forward(x.mean_dim(1).squeeze_dim::<2>(1))
    }
}

/// A Swin Transformer: attention within windows, and stages with patch merging between them.
///
/// Heads, head dims, hidden units and the width of each stage (`layers.0.width`, ...) are prunable. Tokens are not, since
/// windows must be full.
#[derive(Module, Debug, Slimmable)]
pub struct Swin {
    /// Embeds the patches.
    #[slim(width = layers.first.width)]
    pub patch_embed: PatchEmbed,
    /// Dropout after the embedding.
    pub pos_drop: Dropout,
    /// The stages.
    #[slim(former = before.width)]
    pub layers: Vec<Stage>,
    /// Norm after the last stage.
    #[slim(output = [layers.last.width], gate)]
    pub norm: LayerNorm,
    /// The classifier.
    #[slim(width = layers.last.width)]
    pub head: Head,
}

impl Swin {
    /// The patches behind the norm, `[batch, patches, dim]`.
    fn encode(&self, images: Tensor<4>) -> Tensor<3> {
        let x = self.pos_drop.forward(self.patch_embed.forward(images));
        self.norm.forward(self.layers.iter().fold(x, |x, stage| stage.forward(x)))
    }
}

impl Architecture for Swin {
    type Config = SwinConfig;

    fn presets() -> Vec<(&'static str, SwinConfig)> {
        let tiny = SwinConfig { drop_path: 0.2, ..SwinConfig::default() };
        let small = SwinConfig { depths: vec![2, 2, 18, 2], drop_path: 0.3, ..tiny.clone() };
        let base = SwinConfig { dim: 128, heads: vec![4, 8, 16, 32], drop_path: 0.5, ..small.clone() };
        vec![
            ("swin_tiny_patch4_window7_224", tiny),
            ("swin_small_patch4_window7_224", small),
            ("swin_base_patch4_window7_224", base),
        ]
    }

    fn values(config: &SwinConfig) -> Option<f64> {
        Some(config.parameters() + config.pairs())
    }

    fn init(config: &SwinConfig, device: &Device) -> Result<Self, ConfigError> {
        config.check()?;
        let last = config.depths.len() - 1;
        Ok(Self {
            patch_embed: PatchEmbed::new(config, device),
            pos_drop: Dropout::new(config.dropout),
            layers: (0..=last).map(|stage| Stage::new(config, stage, device)).collect(),
            norm: norm(config.dim_at(last), device),
            head: Head { fc: LinearConfig::new(config.dim_at(last), config.classes).init(device) },
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        self.head.forward(self.encode(images)).into()
    }

    fn features(&self, images: Tensor<4>) -> Features {
        let x = self.encode(images);
        let patches = Patches { values: x.clone(), reader: "head.fc" };
        Features { logits: self.head.forward(x).into(), patches: Some(patches) }
    }
}
