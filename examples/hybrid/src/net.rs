//! The network.

use burn::tensor::activation::silu;
use vitslim_core::prelude::*;

use crate::attention::AttentionBlock;
use crate::config::CoAtNetConfig;
use crate::mbconv::MbConv;

/// Blocks of one width, of which the first comes from the width of the stage before.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Stage<B: Module> {
    #[slim]
    first: B,
    #[slim(former = width)]
    rest: Vec<B>,
}

/// CoAtNet (Dai et al. 2021): two stages of convolutions, then two of attention.
#[derive(Module, Debug, Slimmable)]
pub struct CoAtNet {
    #[slim(0(output = [stem]), 1(output = [stem], gate), 2(input = [stem], output = [width1], gate))]
    stem: (Conv2d, BatchNorm, Conv2d),
    #[slim(former = width1, width = width1)]
    stage1: Stage<MbConv>,
    #[slim(former = width1, width = width2)]
    stage2: Stage<MbConv>,
    #[slim(former = width2, width = width3)]
    stage3: Stage<AttentionBlock>,
    #[slim(former = width3, width = width4)]
    stage4: Stage<AttentionBlock>,
    #[slim(output = [width4], gate)]
    norm: LayerNorm,
    #[slim(input = [width4])]
    head: Linear,
}

impl<B: Module> Stage<B> {
    /// `depth` blocks, of which `first` makes the first and `other` the others.
    fn new(depth: usize, first: impl Fn() -> B, other: impl Fn() -> B) -> Self {
        Self { first: first(), rest: (1..depth).map(|_| other()).collect() }
    }

    /// `x` after each block by `step`.
    fn forward(
        &self,
        x: Tensor<4>,
        step: impl Fn(&B, Tensor<4>) -> Tensor<4> + Copy + Send + 'static,
    ) -> Tensor<4>
    where
        B: Slimmable + 'static,
    {
        let first = checkpoint(&self.first, x, step);
        self.rest.iter().fold(first, |x, block| checkpoint(block, x, step))
    }
}

impl Architecture for CoAtNet {
    type Config = CoAtNetConfig;

    fn presets() -> Vec<(&'static str, CoAtNetConfig)> {
        vec![("coatnet_0", CoAtNetConfig::default())]
    }

    fn init(config: &CoAtNetConfig, device: &Device) -> Result<Self, ConfigError> {
        config.check()?;
        let [dim1, dim2, dim3, dim4] = config.dims;
        let [depth1, depth2, depth3, depth4] = config.depths;
        let conv = |channels, stride| {
            Conv2dConfig::new(channels, [3, 3]).with_stride([stride; 2]).with_padding([1, 1]).init(device)
        };
        let mbconv = |former, width, stride| move || MbConv::new(former, width, stride, device);
        let attention = |former, width, stride, stage| {
            move || AttentionBlock::new([former, width], stride, config.side(stage), config, device)
        };
        Ok(Self {
            stem: (
                conv([config.channels, dim1], config.stem_stride),
                BatchNormConfig::new(dim1).init(device),
                conv([dim1, dim1], 1),
            ),
            stage1: Stage::new(depth1, mbconv(dim1, dim1, 1), mbconv(dim1, dim1, 1)),
            stage2: Stage::new(depth2, mbconv(dim1, dim2, 2), mbconv(dim2, dim2, 1)),
            stage3: Stage::new(depth3, attention(dim2, dim3, 2, 2), attention(dim3, dim3, 1, 2)),
            stage4: Stage::new(depth4, attention(dim3, dim4, 2, 3), attention(dim4, dim4, 1, 3)),
            norm: LayerNormConfig::new(dim4).init(device),
            head: LinearConfig::new(dim4, config.classes).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let (conv1, norm, conv2) = &self.stem;
        let x = conv2.forward(silu(norm.forward(conv1.forward(images))));
        let x = self.stage2.forward(self.stage1.forward(x, MbConv::forward), MbConv::forward);
        let x = self.stage3.forward(x, AttentionBlock::forward);
        let x = self.stage4.forward(x, AttentionBlock::forward);
        let mean = x.flatten::<3>(2, 3).mean_dim(2).squeeze_dim::<2>(2);
        self.head.forward(self.norm.forward(mean)).into()
    }
}
