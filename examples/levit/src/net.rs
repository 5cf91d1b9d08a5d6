//! The network.

use burn::tensor::activation::hard_swish;
use vitslim_core::prelude::*;

use crate::block::{Block, Stage};
use crate::config::LevitConfig;

/// Classifies by the mean of the patches of the last stage.
#[derive(Module, Debug, Slimmable)]
pub struct Levit {
    stem: Vec<(Conv2d, BatchNorm)>,
    #[slim(0(output = [width]), 1(output = [width], gate))]
    embed: (Conv2d, BatchNorm),
    #[slim]
    blocks: Vec<Block>,
    #[slim(former = before.width or width)]
    stages: Vec<Stage>,
    #[slim(output = [stages.last.width], gate)]
    norm: BatchNorm,
    #[slim(input = [stages.last.width])]
    head: Linear,
}

impl Architecture for Levit {
    type Config = LevitConfig;

    fn presets() -> Vec<(&'static str, LevitConfig)> {
        vec![("levit_128s", LevitConfig::default())]
    }

    fn init(config: &LevitConfig, device: &Device) -> Result<Self, ConfigError> {
        config.check()?;
        let normed = |channels: [usize; 2], stride: usize| {
            let conv = Conv2dConfig::new(channels, [3, 3]).with_stride([stride; 2]).with_padding([1, 1]);
            (conv.with_bias(false).init(device), BatchNormConfig::new(channels[1]).init(device))
        };
        let channels: Vec<usize> = [&[config.channels], config.stem.as_slice()].concat();
        let (dim, last) = (config.dims[0], config.dims[config.dims.len() - 1]);
        Ok(Self {
            stem: channels.windows(2).map(|pair| normed([pair[0], pair[1]], 2)).collect(),
            embed: normed([channels[channels.len() - 1], dim], config.stride),
            blocks: Block::of_stage(0, config, device),
            stages: (1..config.dims.len()).map(|stage| Stage::new(stage, config, device)).collect(),
            norm: BatchNormConfig::new(last).init(device),
            head: LinearConfig::new(last, config.classes).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let normed = |x, (conv, norm): &(Conv2d, BatchNorm)| norm.forward(conv.forward(x));
        let x = self.stem.iter().fold(images, |x, layer| hard_swish(normed(x, layer)));
        let x = normed(x, &self.embed).flatten::<3>(2, 3).swap_dims(1, 2);
        let x = self.blocks.iter().fold(x, |x, block| checkpoint(block, x, Block::forward));
        let x = self.stages.iter().fold(x, |x, stage| stage.forward(x));
        let mean = x.mean_dim(1).squeeze_dim::<2>(1);
        self.head.forward(self.norm.forward(mean)).into()
    }
}

#[cfg(test)]
mod tests {
    use vitslim_core::data::ImageShape;
    use vitslim_core::graph::macs;
    use vitslim_core::models::Parameter;

    use super::*;

    /// Parameters as in timm 1.0, without the second head for distillation, and multiply-adds as in table 3 of the paper.
    #[test]
    fn levit_128s_is_as_large_as_the_original() {
        let model = Levit::init(&LevitConfig::default(), &Device::flex()).expect("a network");
        assert_eq!(Parameter::count(&model), 7_391_290);
        let macs = macs(&model, ImageShape { channels: 3, size: 224 }).expect("a graph");
        assert!(macs.abs_diff(305_000_000) < 1_000_000, "{macs}");
    }
}
