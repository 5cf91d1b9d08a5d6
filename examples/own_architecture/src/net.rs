//! A network of these blocks.

use vitslim_core::prelude::*;

use crate::block::ParallelBlock;
use crate::config::ParallelConfig;

/// Embeds patches and classifies by the mean of those that are left; declares the width that its blocks borrow.
#[derive(Module, Debug, Slimmable)]
pub struct ParallelNet {
    #[slim(output = [width], gate)]
    embed: Conv2d,
    #[slim(axis(2) = [width], gate)]
    pos_embed: Param<Tensor<3>>,
    #[slim]
    blocks: Vec<ParallelBlock>,
    #[slim(output = [width], gate)]
    norm: RmsNorm,
    #[slim(input = [width])]
    head: Linear,
}

impl Architecture for ParallelNet {
    type Config = ParallelConfig;

    fn presets() -> Vec<(&'static str, ParallelConfig)> {
        vec![("parallel_tiny", ParallelConfig::default())]
    }

    fn init(config: &ParallelConfig, device: &Device) -> Result<Self, ConfigError> {
        config.check()?;
        let patch = [config.patch_size; 2];
        let embed = Conv2dConfig::new([config.channels, config.dim], patch).with_stride(patch);
        Ok(Self {
            // As large as the positions: PyTorch's default would drown them.
            embed: embed.with_initializer(Initializer::Normal { mean: 0.0, std: 0.02 }).init(device),
            pos_embed: normal([1, config.patches(), config.dim], 0.02, device),
            blocks: (0..config.depth).map(|_| ParallelBlock::new(config, device)).collect(),
            norm: RmsNormConfig::new(config.dim).init(device),
            head: LinearConfig::new(config.dim, config.classes).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.embed.forward_patches(images) + self.pos_embed.val();
        let x = self.blocks.iter().fold(x, |x, block| checkpoint(block, x, ParallelBlock::forward));
        let mean = self.norm.forward(x).mean_dim(1).squeeze_dim::<2>(1);
        self.head.forward(mean).into()
    }
}
