use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, module};

use super::fused::is_as_fused;
use super::own_gradient::standardised;
use super::shared_by_heads::{kept_by_all, of_each};
use crate::slim::{HeadLayout, Output, SlimLayer, scale_param, select_param};
use vitslim_kernels as kernels;

/// Configuration of a [`LayerNorm`].
#[derive(Config, Debug)]
pub struct LayerNormConfig {
    /// Number of features; of a head, if heads share the norm.
    pub d_model: usize,
    /// Added to the variance. 1e-6 as in timm; PyTorch's own default is 1e-5.
    #[config(default = 1e-6)]
    pub epsilon: f64,
    /// Heads that share the norm, in attention that normalises the queries and keys of each head.
    #[config(default = 1)]
    pub heads: usize,
}

impl LayerNormConfig {
    /// A norm with gamma 1 and beta 0.
    pub fn init(&self, device: &Device) -> LayerNorm {
        LayerNorm {
            gamma: Param::from_tensor(Tensor::ones([self.d_model], device)),
            beta: Some(Param::from_tensor(Tensor::zeros([self.d_model], device))),
            epsilon: self.epsilon,
            width: self.d_model,
            heads: self.heads,
            of_heads: self.heads > 1,
        }
    }
}

/// Layer normalisation over the last axis.
///
/// It remembers its original width: after slicing, removed features count as zeros, as in the hard-masked network, so that both
/// compute the same. With [`NormStatistics::Sliced`](crate::slim::NormStatistics::Sliced), both take the mean over those that are left.
///
/// Queries and keys of attention are normalised head by head ([`forward_heads`](Self::forward_heads)), with parameters that all
/// heads share. Such a norm is made `with_heads(heads)`, and its output annotated `[heads, head_dim]`. Each head gets its own
/// copy of what it keeps as soon as masks are folded, or heads keep different dims.
#[derive(Module, Debug)]
pub struct LayerNorm {
    /// Scale, `[d_model]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[d_model]`.
    pub beta: Option<Param<Tensor<1>>>,
    /// Added to the variance.
    pub epsilon: f64,
    /// Number of features that the statistics are over; of a head, if heads share the norm.
    pub width: usize,
    /// Heads that share the parameters. Where each has its own, this is 1.
    pub heads: usize,
    /// Whether it normalises each head by itself.
    pub of_heads: bool,
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
        let normalised = heads.map_heads(x, |x| self.normalised(x)) * self.gamma.val().unsqueeze();
        match &self.beta {
            Some(beta) => normalised + beta.val().unsqueeze(),
            None => normalised,
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
        if (kept == self.width && !input.is_autodiff()) || is_as_fused() {
            return module::layer_norm(input, gamma, beta, self.epsilon);
        }
        // Before the norm: between its operations and theirs, a change of shape would keep a GPU from fusing them.
        let (gamma, beta) = (gamma.unsqueeze(), beta.map(Tensor::unsqueeze));
        let normalised = self.normalised(input) * gamma;
        match beta {
            Some(beta) => normalised + beta,
            None => normalised,
        }
    }

    /// `input` with mean 0 and variance 1, over the width.
    fn normalised<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        standardised(input, self.width, self.epsilon)
    }
}

impl SlimLayer<Output> for LayerNorm {
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
        norm.beta = norm.beta.map(|beta| scale_param(beta, 0, &factors));
        norm
    }

    fn select(self, _: Output, kept: Tensor<1, Int>) -> Self {
        let (mut norm, kept) = match kept_by_all(&kept, self.gamma.dims()[0], self.heads) {
            Some((heads, inside)) => (Self { heads, ..self }, inside),
            None => (self.of_each_head(), kept),
        };
        norm.gamma = select_param(norm.gamma, 0, &kept);
        norm.beta = norm.beta.map(|beta| select_param(beta, 0, &kept));
        norm
    }
}

impl LayerNorm {
    /// The norm with parameters of each head.
    fn of_each_head(mut self) -> Self {
        if self.heads > 1 {
            self.gamma = of_each(self.gamma, self.heads);
            self.beta = self.beta.map(|beta| of_each(beta, self.heads));
            self.heads = 1;
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;
    use crate::slim::index_tensor;

    #[test]
    fn heads_that_share_a_norm_are_normalised_by_themselves() {
        let device = Device::flex();
        let random = |size| Tensor::<1>::random([size], Distribution::Normal(0.0, 1.0), &device);
        let mut norm = LayerNormConfig::new(4).with_heads(3).init(&device);
        (norm.gamma, norm.beta) = (Param::from_tensor(random(4)), Some(Param::from_tensor(random(4))));
        let x = random(2 * 5 * 12).reshape([2, 5, 12]);
        let alone = LayerNorm { heads: 1, ..norm.clone() };
        let heads = (0..3).map(|head| alone.forward(x.clone().narrow(2, 4 * head, 4))).collect();
        let expected = Tensor::cat(heads, 2);
        let layout = HeadLayout::new(3, 4);
        let close = |found: Tensor<3>, expected: &Tensor<3>| {
            found.into_data().assert_approx_eq::<f32>(&expected.to_data(), Tolerance::absolute(1e-5));
        };
        close(norm.forward_heads(x.clone(), &layout), &expected);
        // With masks, each head has its own copy.
        let ones = norm.clone().scale(Output, Tensor::ones([12], &device));
        assert_eq!((ones.gamma.dims(), ones.heads), ([12], 1));
        close(ones.forward_heads(x, &layout), &expected);

        // All heads keep the same dims, and go on sharing; or different ones.
        let cut = |kept: &[usize]| norm.clone().select(Output, index_tensor(kept, &device));
        let shared = cut(&[4, 5, 7, 0, 1, 3]);
        assert_eq!((shared.gamma.dims(), shared.heads), ([3], 2));
        let own = cut(&[0, 5, 6, 7]);
        assert_eq!((own.gamma.dims(), own.heads), ([4], 1));
        let own = cut(&[]);
        assert_eq!((own.gamma.dims(), own.heads), ([0], 1));
    }
}
