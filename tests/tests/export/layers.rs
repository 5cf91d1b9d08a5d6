//! A network of the layers that no architecture has.

use burn::tensor::TensorData;
use vitslim_core::models::VitConfig;
use vitslim_core::prelude::*;

/// Convolutions in one and two dimensions, and norms of batches and of groups.
#[derive(Module, Debug, Slimmable)]
pub struct Layers {
    #[slim(output = [hidden])]
    expand: Conv2d,
    #[slim(output = [hidden], gate)]
    batch_norm: BatchNorm,
    #[slim(input = [hidden], output = [normed], gate)]
    reduce: Conv2d,
    #[slim(output = [normed], gate)]
    group_norm: GroupNorm,
    #[slim(input = [normed])]
    along: Conv1d,
    rms_norm: RmsNorm,
    head: Linear,
}

impl Layers {
    /// What comes out of layers, `[batch, channels, height, width]` and `[batch, steps, channels]`.
    pub fn inside(&self, images: Tensor<4>) -> Vec<(String, TensorData)> {
        let normed = self.batch_norm.forward(self.expand.forward(images));
        let x = self.group_norm.forward(self.reduce.forward(normed.clone()));
        let x = self.along.forward(x.flatten(2, 3)).swap_dims(1, 2);
        let last = self.rms_norm.forward(x);
        vec![("batch_norm".to_owned(), normed.into_data()), ("rms_norm".to_owned(), last.into_data())]
    }
}

impl Architecture for Layers {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        let expand = Conv2dConfig::new([config.channels, 8], [3, 3]).with_padding([1, 1]).with_stride([2, 2]);
        Ok(Self {
            expand: expand.init(device),
            batch_norm: BatchNormConfig::new(8).init(device),
            reduce: Conv2dConfig::new([8, 6], [2, 2]).with_stride([2, 2]).init(device),
            group_norm: GroupNormConfig::new(2, 6).init(device),
            along: Conv1dConfig::new(6, 5, 3).with_stride(2).init(device),
            rms_norm: RmsNormConfig::new(5).init(device),
            head: LinearConfig::new(5, config.classes).with_bias(false).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.batch_norm.forward(self.expand.forward(images));
        let x = self.group_norm.forward(self.reduce.forward(x));
        let x = self.along.forward(x.flatten(2, 3)).swap_dims(1, 2);
        let x = self.rms_norm.forward(x).mean_dim(1).squeeze_dim::<2>(1);
        self.head.forward(x).into()
    }
}
