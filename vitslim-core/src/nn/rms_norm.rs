use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use crate::slim::{Output, SlimLayer, scale_param, select_param};

/// Configuration of an [`RmsNorm`].
#[derive(Config, Debug)]
pub struct RmsNormConfig {
    /// Number of features.
    pub d_model: usize,
    /// Added to the mean square. 1e-6 as in timm.
    #[config(default = 1e-6)]
    pub epsilon: f64,
}

impl RmsNormConfig {
    /// A norm with gamma 1.
    pub fn init(&self, device: &Device) -> RmsNorm {
        RmsNorm {
            gamma: Param::from_tensor(Tensor::ones([self.d_model], device)),
            epsilon: self.epsilon,
            width: self.d_model,
        }
    }
}

/// Root mean square normalisation over the last axis (Zhang and Sennrich 2019): `x / sqrt(mean(x^2) + epsilon) * gamma`.
///
/// Like a [`LayerNorm`](super::LayerNorm), it remembers its original width: removed features count as zeros.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Scale, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Added to the mean square.
    pub epsilon: f64,
    /// Number of features before any slicing.
    pub width: usize,
}

impl RmsNorm {
    /// # Shapes
    ///
    /// - input, output: `[..., d_model]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if self.gamma.dims() == [0] {
            return input;
        }
        let mean_square = input.clone().square().sum_dim(D - 1) / self.width as f64;
        input / (mean_square + self.epsilon).sqrt() * self.gamma.val().unsqueeze()
    }
}

impl SlimLayer<Output> for RmsNorm {
    fn extent(&self, _: Output) -> usize {
        self.gamma.dims()[0]
    }

    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        vec![("width", self.width.into()), ("epsilon", self.epsilon.into())]
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.gamma = scale_param(self.gamma, 0, &factors);
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        self.gamma = select_param(self.gamma, 0, &kept);
        self
    }
}
