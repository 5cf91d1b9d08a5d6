use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor};

use super::own_gradient::of_mean_square_1;
use super::shared_by_heads::{kept_by_all, of_each};
use crate::slim::{HeadLayout, Output, SlimLayer, scale_param, select_param};

/// Configuration of an [`RmsNorm`].
#[derive(Config, Debug)]
pub struct RmsNormConfig {
    /// Number of features; of a head, if heads share the norm.
    pub d_model: usize,
    /// Added to the mean square. 1e-6 as in timm.
    #[config(default = 1e-6)]
    pub epsilon: f64,
    /// Heads that share the norm, in attention that normalises the queries and keys of each head.
    #[config(default = 1)]
    pub heads: usize,
}

impl RmsNormConfig {
    /// A norm with gamma 1.
    pub fn init(&self, device: &Device) -> RmsNorm {
        RmsNorm {
            gamma: Param::from_tensor(Tensor::ones([self.d_model], device)),
            epsilon: self.epsilon,
            width: self.d_model,
            heads: self.heads,
            of_heads: self.heads > 1,
        }
    }
}

/// Root mean square normalisation over the last axis (Zhang and Sennrich 2019): `x / sqrt(mean(x^2) + epsilon) * gamma`.
///
/// Like a [`LayerNorm`](super::LayerNorm), it remembers its original width, unless a plan slices its statistics. It normalises heads in
/// the same way.
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// Scale, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Added to the mean square.
    pub epsilon: f64,
    /// Number of features that the mean is over; of a head, if heads share the norm.
    pub width: usize,
    /// Heads that share the parameters. Where each has its own, this is 1.
    pub heads: usize,
    /// Whether it normalises each head by itself.
    pub of_heads: bool,
}

impl RmsNorm {
    /// # Shapes
    ///
    /// - input, output: `[..., d_model]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if self.gamma.dims() == [0] {
            return input;
        }
        // Before the norm, as in a layer norm.
        let gamma = self.gamma.val().unsqueeze();
        self.normalised(input) * gamma
    }

    /// Queries or keys, with each head normalised by itself.
    ///
    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, features]`, ordered (head, dim)
    pub fn forward_heads(&self, x: Tensor<3>, heads: &HeadLayout) -> Tensor<3> {
        let [.., features] = x.dims();
        if features == 0 {
            return x;
        }
        // Heads that share the parameters are of one size.
        if self.gamma.dims() != [features] {
            return heads.map_heads(x, |x| self.forward(x));
        }
        heads.map_heads(x, |x| self.normalised(x)) * self.gamma.val().unsqueeze()
    }

    /// `input` with a mean square of 1, over the width.
    fn normalised<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        of_mean_square_1(input, self.width, self.epsilon)
    }
}

impl SlimLayer<Output> for RmsNorm {
    fn extent(&self, _: Output) -> usize {
        self.gamma.dims()[0] * self.heads
    }

    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        vec![("width", self.width.into()), ("epsilon", self.epsilon.into())]
    }

    fn with_statistics_over(self, _: Output, features: usize) -> Self {
        match self.of_heads {
            true => self,
            false => Self { width: features, ..self },
        }
    }

    fn scale(self, _: Output, factors: Tensor<1>) -> Self {
        let mut norm = self.of_each_head();
        norm.gamma = scale_param(norm.gamma, 0, &factors);
        norm
    }

    fn select(self, _: Output, kept: Tensor<1, Int>) -> Self {
        let (mut norm, kept) = match kept_by_all(&kept, self.gamma.dims()[0], self.heads) {
            Some((heads, inside)) => (Self { heads, ..self }, inside),
            None => (self.of_each_head(), kept),
        };
        norm.gamma = select_param(norm.gamma, 0, &kept);
        norm
    }
}

impl RmsNorm {
    /// The norm with parameters of each head.
    fn of_each_head(mut self) -> Self {
        if self.heads > 1 {
            self.gamma = of_each(self.gamma, self.heads);
            self.heads = 1;
        }
        self
    }
}
