use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, module};

use crate::slim::{Output, SlimLayer, scale_param, select_param};
use vitslim_kernels as kernels;

/// Configuration of a [`LayerNorm`].
#[derive(Config, Debug)]
pub struct LayerNormConfig {
    /// Number of features.
    pub d_model: usize,
    /// Added to the variance. 1e-6 as in timm; PyTorch's own default is 1e-5.
    #[config(default = 1e-6)]
    pub epsilon: f64,
}

impl LayerNormConfig {
    /// A norm with gamma 1 and beta 0.
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: Param::from_tensor(Tensor::ones([self.d_model], device)),
            beta: Some(Param::from_tensor(Tensor::zeros([self.d_model], device))),
            epsilon: self.epsilon,
            width: self.d_model,
        }
    }
}

/// Layer normalisation over the last axis.
///
/// It remembers its original width: after slicing, removed features count as zeros, as in the hard-masked network, so that both
/// compute the same.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[d_model]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// Added to the variance.
    pub epsilon: f64,
    /// Number of features before any slicing.
    pub width: usize,
}

impl LayerNorm {
    /// # Shapes
    ///
    /// - input, output: `[..., d_model]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        match self.fused(&input, None) {
            Some(output) => output,
            None => self.by_stock_operations(input),
        }
    }

    /// The output with each token multiplied by its factor.
    ///
    /// # Shapes
    ///
    /// - input, output: `[batch, tokens, d_model]`
    /// - factors: `[tokens]`
    pub(super) fn forward_scaled(&self, input: Tensor<3>, factors: &Tensor<1>) -> Tensor<3> {
        match self.fused(&input, Some(factors)) {
            Some(output) => output,
            None => self.by_stock_operations(input) * factors.clone().reshape([1, -1, 1]),
        }
    }

    fn fused<const D: usize>(&self, input: &Tensor<D>, factors: Option<&Tensor<1>>) -> Option<Tensor<D>> {
        let beta = self.beta.as_ref()?.val();
        kernels::layer_norm(input, &self.gamma.val(), &beta, factors, self.epsilon, self.width)
    }

    fn by_stock_operations<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [kept] = self.gamma.dims();
        let gamma = self.gamma.val();
        let beta = self.beta.as_ref().map(Param::val);
        if kept == 0 {
            return input;
        }
        if kept == self.width {
            return module::layer_norm(input, gamma, beta, self.epsilon);
        }
        // Sums over the original width: each removed feature adds 0 to the mean and mean^2 to the variance.
        let width = self.width as f64;
        let mean = input.clone().sum_dim(D - 1) / width;
        let centered = input - mean.clone();
        let removed = mean.square() * (width - kept as f64);
        let variance = (centered.clone().square().sum_dim(D - 1) + removed) / width;
        let normalised = centered / (variance + self.epsilon).sqrt() * gamma.unsqueeze();
        match beta {
            Some(beta) => normalised + beta.unsqueeze(),
            None => normalised,
        }
    }
}

impl SlimLayer<Output> for LayerNorm {
    fn extent(&self, _: Output) -> usize {
        self.gamma.dims()[0]
    }

    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        vec![("width", self.width.into()), ("epsilon", self.epsilon.into())]
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.gamma = scale_param(self.gamma, 0, &factors);
        self.beta = self.beta.map(|beta| scale_param(beta, 0, &factors));
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        self.gamma = select_param(self.gamma, 0, &kept);
        self.beta = self.beta.map(|beta| select_param(beta, 0, &kept));
        self
    }
}
