//! Fused operations for the CPU, used by the layers and the optimizer of vitslim.
//!
//! With autodiff, burn-flex computes layer normalisation and attention as many small operations, each a pass over memory and
//! mostly on one thread, depthwise convolutions as a product for each channel, and GELU value by value. Here, each is one operation with
//! its own backward pass, added through burn's extension point. On other devices than the CPU, in other precisions than f32, and norms
//! without a shift, layers use burn's stock operations, except for the gradient of GELU.
//!
//! Sums are over fixed parts in a fixed order, so that results are bit-identical for any number of threads.

mod adamw;
mod attend;
mod attention;
mod autodiff;
mod depthwise;
#[cfg(test)]
mod finite_differences;
mod flex;
mod gelu;
mod heads;
mod layer_norm;
mod linear;
mod parts;
mod product;
mod residual;
#[cfg(test)]
mod tests;
mod vector;

use std::f64::consts::FRAC_1_SQRT_2;

use burn::backend::{
    Backend, Dispatch, DispatchDevice, ExtensionType, backend_extension, tensor::FloatTensor,
};
use burn::tensor::{DType, Device, Tensor, activation, module};

pub use adamw::AdamWStep;
pub use attend::attention;
pub use heads::{Attention, Heads, Windows};
pub use vector::{instructions, vectorised};

/// A tensor that may be missing. The extension point takes no `Option`.
#[derive(Clone, Debug, ExtensionType)]
pub(crate) enum Optional<B: Backend> {
    Missing,
    Given(FloatTensor<B>),
}

impl<B: Backend> Optional<B> {
    fn given(self) -> Option<FloatTensor<B>> {
        match self {
            Self::Missing => None,
            Self::Given(tensor) => Some(tensor),
        }
    }
}

impl Optional<Dispatch> {
    fn of<const D: usize>(tensor: Option<&Tensor<D>>) -> Self {
        tensor.map_or(Self::Missing, |tensor| Self::Given(tensor.clone().into_dispatch()))
    }
}

/// The operations. The functions of this module check their shapes, and panic if they do not fit, as burn's own operations do.
#[backend_extension(Flex, Autodiff)]
pub(crate) trait Kernels: Backend {
    fn fused_gelu(x: FloatTensor<Self>) -> FloatTensor<Self>;

    fn fused_linear(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    fn fused_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        epsilon: f64,
        width: usize,
    ) -> FloatTensor<Self>;

    fn fused_gated_layer_norm(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        factors: FloatTensor<Self>,
        epsilon: f64,
        width: usize,
    ) -> FloatTensor<Self>;

    fn fused_attention(
        qkv: FloatTensor<Self>,
        #[extension_type] bias: Optional<Self>,
        #[extension_type] mask: Optional<Self>,
        #[extension_type] sizes: Optional<Self>,
        attention: Attention,
    ) -> FloatTensor<Self>;

    fn fused_depthwise(
        x: FloatTensor<Self>,
        weight: FloatTensor<Self>,
        bias: FloatTensor<Self>,
        stride: [usize; 2],
        padding: [usize; 2],
    ) -> FloatTensor<Self>;

    fn fused_residual(
        x: FloatTensor<Self>,
        branch: FloatTensor<Self>,
        #[extension_type] scale: Optional<Self>,
        #[extension_type] keep: Optional<Self>,
    ) -> FloatTensor<Self>;
}

/// Operations that are not differentiated.
#[backend_extension(Flex)]
pub(crate) trait Undifferentiated: Backend {
    fn fused_mlp(
        x: FloatTensor<Self>,
        weight_1: FloatTensor<Self>,
        bias_1: FloatTensor<Self>,
        weight_2: FloatTensor<Self>,
        bias_2: FloatTensor<Self>,
    ) -> FloatTensor<Self>;

    /// The parameters after a step, and their moments.
    fn fused_adamw(
        parameters: FloatTensor<Self>,
        gradient: FloatTensor<Self>,
        moment_1: FloatTensor<Self>,
        moment_2: FloatTensor<Self>,
        step: AdamWStep,
    ) -> (FloatTensor<Self>, FloatTensor<Self>, FloatTensor<Self>);
}

/// Gradients of the inputs of the operations. `gradient` is the gradient of the output.
pub(crate) trait Backwards: Backend {
    fn fused_gelu_backward(x: FloatTensor<Self>, gradient: FloatTensor<Self>) -> FloatTensor<Self>;

    /// Gradients of the input if `weight` is given, of the weight if `x` is given, and of the bias if `of_bias`.
    fn fused_linear_backward(
        x: Option<FloatTensor<Self>>,
        weight: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
        of_bias: bool,
    ) -> [Option<FloatTensor<Self>>; 3];

    /// Gradients of input, gamma, beta and, if given, factors.
    fn fused_layer_norm_backward(
        x: FloatTensor<Self>,
        gamma: FloatTensor<Self>,
        beta: FloatTensor<Self>,
        factors: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
        epsilon: f64,
        width: usize,
    ) -> [Option<FloatTensor<Self>>; 4];

    /// The gradients of `qkv` and, if `of_bias`, of the bias; masks and sizes of tokens have none.
    fn fused_attention_backward(
        qkv: FloatTensor<Self>,
        bias_mask_sizes: [Optional<Self>; 3],
        gradient: FloatTensor<Self>,
        attention: Attention,
        of_bias: bool,
    ) -> [Option<FloatTensor<Self>>; 2];

    /// Gradients of the input if `weight` is given, and of weight and bias if `x` is given.
    fn fused_depthwise_backward(
        x: Option<FloatTensor<Self>>,
        weight: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
        shapes: DepthwiseShapes,
    ) -> [Option<FloatTensor<Self>>; 3];

    /// Gradients of the branch and, if the branch is given, of the scale.
    fn fused_residual_backward(
        branch: Option<FloatTensor<Self>>,
        scale_keep: [Optional<Self>; 2],
        gradient: FloatTensor<Self>,
    ) -> [Option<FloatTensor<Self>>; 2];
}

/// Sizes of a depthwise convolution.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DepthwiseShapes {
    /// Height and width of the input.
    input: [usize; 2],
    /// Height and width of the kernel.
    kernel: [usize; 2],
    stride: [usize; 2],
    padding: [usize; 2],
}

/// Whether `device` is the CPU, with autodiff or without.
pub fn is_cpu(device: &Device) -> bool {
    match device.as_dispatch() {
        DispatchDevice::Flex(_) => true,
        DispatchDevice::Autodiff(_) => {
            matches!(device.clone().inner().as_dispatch(), DispatchDevice::Flex(_))
        }
        _ => false,
    }
}

/// Whether there are fused operations for `x`.
pub fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
    is_cpu(&x.device()) && x.dtype() == DType::F32 && x.shape().num_elements() > 0
}

/// Whether there is a fused AdamW step for `tensors`: parameters, gradient and moments.
pub fn has_adamw<const D: usize>(tensors: [&Tensor<D>; 4]) -> bool {
    tensors.into_iter().all(|tensor| is_fused(tensor) && !differentiates(tensor))
}

/// The parameters after an AdamW step, and their moments, all of one shape. Only if [`has_adamw`] says so.
pub fn adamw<const D: usize>(
    parameters: Tensor<D>,
    gradient: Tensor<D>,
    moment_1: Tensor<D>,
    moment_2: Tensor<D>,
    step: AdamWStep,
) -> (Tensor<D>, Tensor<D>, Tensor<D>) {
    let shapes = [gradient.dims(), moment_1.dims(), moment_2.dims()];
    assert_eq!(
        shapes,
        [parameters.dims(); 3],
        "AdamW: gradient or moments do not have the shape of the parameters"
    );
    let (parameters, moment_1, moment_2) = Dispatch::fused_adamw(
        parameters.into_dispatch(),
        gradient.into_dispatch(),
        moment_1.into_dispatch(),
        moment_2.into_dispatch(),
        step,
    );
    let tensor = Tensor::from_dispatch;
    (tensor(parameters), tensor(moment_1), tensor(moment_2))
}

/// The exact GELU of `x`, of any shape.
pub fn gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    if is_fused(&x) {
        Tensor::from_dispatch(Dispatch::fused_gelu(x.into_dispatch()))
    } else if differentiates(&x) && x.shape().num_elements() > 0 {
        composed_gelu(x)
    } else {
        activation::gelu(x)
    }
}

/// GELU with the gradient of its parts, which is exact. To its own operation burn 0.22.1 gives the gradient of the tanh approximation
/// on every device but the CPU, off by up to 9e-4.
fn composed_gelu<const D: usize>(x: Tensor<D>) -> Tensor<D> {
    let distribution = ((x.clone() * FRAC_1_SQRT_2).erf() + 1.0) * 0.5;
    x * distribution
}

/// Whether gradients are computed for `x`.
fn differentiates<const D: usize>(x: &Tensor<D>) -> bool {
    matches!(x.device().as_dispatch(), DispatchDevice::Autodiff(_))
}

/// `x * weight + bias`; `x` is `[..., d_input]`, `weight` `[d_input, d_output]`, `bias` `[d_output]`, none of them of size 0.
pub fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    if !is_fused(&x) {
        return module::linear(x, weight, bias);
    }
    let bias = fitting(x.dims()[D - 1], &weight, bias);
    let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
    Tensor::from_dispatch(Dispatch::fused_linear(x, weight, bias))
}

/// The bias of a layer with `weight`, or zeros. Panics unless it takes inputs of `features`.
fn fitting(features: usize, weight: &Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<1> {
    let [d_input, d_output] = weight.dims();
    assert_eq!(features, d_input, "linear: the input does not fit the weight");
    let bias = bias.unwrap_or_else(|| Tensor::zeros([d_output], &weight.device()));
    assert_eq!(bias.dims(), [d_output], "linear: the bias does not fit the weight");
    bias
}

/// A linear layer, GELU, and a second linear layer, as [`linear`] takes them; `None` if there is no fused operation for `x`, or where
/// gradients are computed.
pub fn mlp<const D: usize>(x: &Tensor<D>, layers: [(Tensor<2>, Option<Tensor<1>>); 2]) -> Option<Tensor<D>> {
    let [first, second] = &layers;
    let differentiates_layer = |(weight, bias): &(Tensor<2>, Option<Tensor<1>>)| {
        differentiates(weight) || bias.as_ref().is_some_and(differentiates)
    };
    if !is_fused(x) || differentiates(x) || differentiates_layer(first) || differentiates_layer(second) {
        return None;
    }
    let [(weight_1, bias_1), (weight_2, bias_2)] = layers;
    let bias_1 = fitting(x.dims()[D - 1], &weight_1, bias_1);
    let bias_2 = fitting(bias_1.dims()[0], &weight_2, bias_2);
    Some(Tensor::from_dispatch(Dispatch::fused_mlp(
        x.clone().into_dispatch(),
        weight_1.into_dispatch(),
        bias_1.into_dispatch(),
        weight_2.into_dispatch(),
        bias_2.into_dispatch(),
    )))
}

/// `x + branch * scale * keep`: `x` and `branch` are `[batch, ..., dim]`, `scale` is `[dim]`, and `keep`, to which no gradient flows,
/// `[batch]`. `None` if there is no fused operation for `x`.
pub fn residual<const D: usize>(
    x: &Tensor<D>,
    branch: &Tensor<D>,
    scale: Option<&Tensor<1>>,
    keep: Option<&Tensor<1>>,
) -> Option<Tensor<D>> {
    (is_fused(x) && D > 1).then(|| {
        let shape = x.dims();
        assert_eq!(branch.dims(), shape, "residual: the branch does not fit what it is added to");
        let fits = |factors: Option<&Tensor<1>>, axis: usize| {
            factors.is_none_or(|factors| factors.dims() == [shape[axis]])
        };
        assert!(fits(scale, D - 1) && fits(keep, 0), "residual: the factors do not fit the branch");
        let [x, branch] = [x, branch].map(|tensor| tensor.clone().into_dispatch());
        Tensor::from_dispatch(Dispatch::fused_residual(x, branch, Optional::of(scale), Optional::of(keep)))
    })
}

/// Layer normalisation of `x`, `[..., kept]`, over its last axis, as if there were `width - kept` more features of value 0; if that
/// is negative, so many fewer.
/// `gamma` and `beta` are `[kept]`. With `factors`, `[tokens]`, `x` is `[..., tokens, kept]`, and the output of each token is
/// multiplied by its factor. `None` if there is no fused operation for `x`.
pub fn layer_norm<const D: usize>(
    x: &Tensor<D>,
    gamma: &Tensor<1>,
    beta: &Tensor<1>,
    factors: Option<&Tensor<1>>,
    epsilon: f64,
    width: usize,
) -> Option<Tensor<D>> {
    is_fused(x).then(|| {
        let kept = x.dims()[D - 1];
        assert_eq!(
            [gamma.dims(), beta.dims()],
            [[kept]; 2],
            "layer norm: scale or shift do not fit the input"
        );
        let tokens = x.dims().into_iter().rev().nth(1);
        let x = x.clone().into_dispatch();
        let (gamma, beta) = (gamma.clone().into_dispatch(), beta.clone().into_dispatch());
        Tensor::from_dispatch(match factors {
            None => Dispatch::fused_layer_norm(x, gamma, beta, epsilon, width),
            Some(factors) => {
                assert_eq!(Some(factors.dims()[0]), tokens, "layer norm: not a factor for each token");
                let factors = factors.clone().into_dispatch();
                Dispatch::fused_gated_layer_norm(x, gamma, beta, factors, epsilon, width)
            }
        })
    })
}

/// The convolution of each channel of `x`, `[batch, height, width, channels]`, by itself, with `weight`, `[channels, 1, kernel_height,
/// kernel_width]`, and `bias`, `[channels]`. `None` if there is no fused operation for `x`.
pub fn depthwise(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    stride: [usize; 2],
    padding: [usize; 2],
) -> Option<Tensor<4>> {
    let [_, height, width, channels] = x.dims();
    let kernel = [weight.dims()[2], weight.dims()[3]];
    let fits = |axis: usize, size: usize| {
        kernel[axis] > 0 && stride[axis] > 0 && kernel[axis] <= size + 2 * padding[axis]
    };
    (is_fused(x) && fits(0, height) && fits(1, width)).then(|| {
        assert_eq!(
            weight.dims()[..2],
            [channels, 1],
            "depthwise convolution: the weight does not fit the input"
        );
        let bias = bias.cloned().unwrap_or_else(|| Tensor::zeros([channels], &x.device()));
        assert_eq!(bias.dims(), [channels], "depthwise convolution: the bias does not fit the input");
        let [x, weight] = [x, weight].map(|tensor| tensor.clone().into_dispatch());
        Tensor::from_dispatch(Dispatch::fused_depthwise(x, weight, bias.into_dispatch(), stride, padding))
    })
}
