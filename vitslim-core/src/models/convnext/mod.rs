//! ConvNeXt (Liu et al. 2022), a network without attention and tokens. Names of parts are timm's.
//!
//! A `Sequential` of timm's is a tuple here, whose parts Burn numbers alike: `stem.0`, `stem.1`.

mod block;
mod config;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::{Architecture, ConfigError, Features, Logits, Patches};
use crate::nn::{Conv2d, Conv2dConfig, LayerNorm, LayerNormConfig, Linear, LinearConfig, NORMAL, checkpoint};
use crate::slim::Slimmable;

pub use block::ConvNextBlock;
pub use config::ConvNextConfig;

/// A convolution whose stride is its kernel.
fn patchwise(channels: [usize; 2], patch: usize, device: &Device) -> Conv2d {
    let conv = Conv2dConfig::new(channels, [patch; 2]).with_stride([patch; 2]);
    conv.with_initializer(NORMAL).init(device)
}

/// The step from the former stage's width, and blocks of one width.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former], own = [width])]
pub struct Stage {
    /// Norm over the width of the former stage, and a convolution that halves height and width; the first stage has none.
    #[slim(0(output = [former], gate), 1(input = [former], output = [width], gate))]
    pub downsample: Option<(LayerNorm, Conv2d)>,
    /// The blocks.
    #[slim]
    pub blocks: Vec<ConvNextBlock>,
}

impl Stage {
    fn new(config: &ConvNextConfig, stage: usize, device: &Device) -> Self {
        let dim = config.dims[stage];
        let former = stage.checked_sub(1).map(|former| config.dims[former]);
        let downsample =
            |former| (LayerNormConfig::new(former).init(device), patchwise([former, dim], 2, device));
        let before: usize = config.depths[..stage].iter().sum();
        let block = |block| ConvNextBlock::new(config, stage, before + block, device);
        Self { downsample: former.map(downsample), blocks: (0..config.depths[stage]).map(block).collect() }
    }

    /// # Shapes
    ///
    /// - x: `[batch, former_height, former_width, former_dim]`
    /// - output: `[batch, height, width, dim]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let x = match &self.downsample {
            Some((norm, conv)) => conv.forward_channels_last(norm.forward(x).permute([0, 3, 1, 2])),
            None => x,
        };
        self.blocks.iter().fold(x, |x, block| checkpoint(block, x, ConvNextBlock::forward))
    }
}

/// Classifies by the mean over all positions.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Head {
    /// Norm after the mean.
    #[slim(output = [width], gate)]
    pub norm: LayerNorm,
    /// The classifier.
    #[slim(input = [width])]
    pub fc: Linear,
}

impl Head {
    /// # Shapes
    ///
    /// - x: `[batch, height, width, dim]`
    /// - output: `[batch, classes]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<2> {
        let mean = x.flatten::<3>(1, 2).mean_dim(1).squeeze_dim::<2>(1);
        self.fc.forward(self.norm.forward(mean))
    }
}

/// A ConvNeXt: stages of depthwise convolutions and MLPs.
///
/// Hidden units and the width of each stage (`stages.0.width`, ...) are prunable.
#[derive(Module, Debug, Slimmable)]
pub struct ConvNext {
    /// The patch embedding and its norm.
    #[slim(output = [stages.first.width], gate)]
    pub stem: (Conv2d, LayerNorm),
    /// The stages.
    #[slim(former = before.width)]
    pub stages: Vec<Stage>,
    /// The classifier.
    #[slim(width = stages.last.width)]
    pub head: Head,
}

impl ConvNext {
    /// What leaves the last stage, `[batch, height, width, dim]`.
    fn encode(&self, images: Tensor<4>) -> Tensor<4> {
        let (conv, norm) = &self.stem;
        let x = norm.forward(conv.forward_channels_last(images));
        self.stages.iter().fold(x, |x, stage| stage.forward(x))
    }
}

impl Architecture for ConvNext {
    type Config = ConvNextConfig;

    fn presets() -> Vec<(&'static str, ConvNextConfig)> {
        let size = |dim, depth, drop_path| ConvNextConfig {
            dims: vec![dim, 2 * dim, 4 * dim, 8 * dim],
            depths: vec![3, 3, depth, 3],
            drop_path,
            ..ConvNextConfig::default()
        };
        vec![
            ("convnext_tiny", size(96, 9, 0.1)),
            ("convnext_small", size(96, 27, 0.4)),
            ("convnext_base", size(128, 27, 0.5)),
            ("convnext_large", size(192, 27, 0.5)),
        ]
    }

    fn values(config: &ConvNextConfig) -> Option<f64> {
        Some(config.parameters())
    }

    fn init(config: &ConvNextConfig, device: &Device) -> Result<Self, ConfigError> {
        config.check()?;
        let (first, last) = (config.dims[0], config.dims[config.dims.len() - 1]);
        Ok(Self {
            stem: (
                patchwise([config.channels, first], config.patch_size, device),
                LayerNormConfig::new(first).init(device),
            ),
            stages: (0..config.dims.len()).map(|stage| Stage::new(config, stage, device)).collect(),
            head: Head {
                norm: LayerNormConfig::new(last).init(device),
                fc: LinearConfig::new(last, config.classes).init(device),
            },
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        self.head.forward(self.encode(images)).into()
    }

    fn features(&self, images: Tensor<4>) -> Features {
        let x = self.encode(images);
        // The classifier reads their mean behind the norm, and so each of them is normalised (as in DynamicViT's ConvNeXt).
        let values = self.head.norm.forward(x.clone().flatten::<3>(1, 2));
        Features { logits: self.head.forward(x).into(), patches: Some(Patches { values, reader: "head.fc" }) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stochastic_depth_grows_from_block_to_block_through_all_stages() {
        let config = |dims: &[usize], depths: &[usize]| ConvNextConfig {
            image_size: 8,
            dims: dims.to_vec(),
            depths: depths.to_vec(),
            drop_path: 0.5,
            ..ConvNextConfig::default()
        };
        let rates = |config: ConvNextConfig| -> Vec<f64> {
            let model = ConvNext::init(&config, &Device::flex()).unwrap();
            let blocks = model.stages.iter().flat_map(|stage| &stage.blocks);
            blocks.map(|block| block.drop_path.rate).collect()
        };
        assert_eq!(rates(config(&[4, 6], &[2, 1])), [0.0, 0.25, 0.5]);
        assert_eq!(rates(config(&[4], &[1])), [0.0]);
    }
}
