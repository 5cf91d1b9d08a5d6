//! Fused operations for the CPU, used by the layers and the optimizer of vitslim.
//!
//! With autodiff, burn-flex computes layer normalisation and attention as many small operations, each a pass over memory and
//! mostly on one thread, and GELU value by value. Here, each is one operation with its own backward pass, added through burn's
//! extension point. On other devices than the CPU, in other precisions than f32, and without a bias or shift, layers use burn's
//! stock operations, except for the gradient of GELU.
//!
//! Sums are over fixed parts in a fixed order, so that results are bit-identical for any number of threads.

mod adamw;
mod attention;
mod autodiff;
#[cfg(test)]
mod finite_differences;
mod flex;
mod gelu;
mod layer_norm;
mod linear;
mod parts;
mod product;
#[cfg(test)]
mod tests;
mod vector;

use std::f64::consts::FRAC_1_SQRT_2;

use burn::backend::{Backend, Dispatch, DispatchDevice, backend_extension, tensor::FloatTensor};
use burn::tensor::{DType, Device, Tensor, activation, module};

pub use adamw::AdamWStep;
pub use vector::{instructions, vectorised};

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

    fn fused_attention(qkv: FloatTensor<Self>, heads: Vec<usize>, scale: f64) -> FloatTensor<Self>;

    fn fused_sized_attention(
        qkv: FloatTensor<Self>,
        sizes: FloatTensor<Self>,
        heads: Vec<usize>,
        scale: f64,
    ) -> FloatTensor<Self>;
}

/// The parameter update, which is not differentiated.
#[backend_extension(Flex)]
pub(crate) trait Updates: Backend {
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

    /// The gradient of `qkv`; sizes of tokens have none.
    fn fused_attention_backward(
        qkv: FloatTensor<Self>,
        sizes: Option<FloatTensor<Self>>,
        gradient: FloatTensor<Self>,
        heads: Vec<usize>,
        scale: f64,
    ) -> FloatTensor<Self>;
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
fn is_fused<const D: usize>(x: &Tensor<D>) -> bool {
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
    match bias {
        Some(bias) if is_fused(&x) => {
            assert_eq!([x.dims()[D - 1]], [weight.dims()[0]], "linear: the input does not fit the weight");
            assert_eq!(bias.dims(), [weight.dims()[1]], "linear: the bias does not fit the weight");
            let [x, weight, bias] = [x.into_dispatch(), weight.into_dispatch(), bias.into_dispatch()];
            Tensor::from_dispatch(Dispatch::fused_linear(x, weight, bias))
        }
        bias => module::linear(x, weight, bias),
    }
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

/// Self-attention on queries, keys and values in one tensor, `[batch, tokens, 3 * features]`, of heads with `heads` dims
/// each and `features`, at least 1, in all. A key counts as often in the softmax as its size among `sizes`, `[batch, tokens]`, says, to
/// which no gradient flows. The output is `[batch, tokens, features]`. `None` if there is no fused operation for `qkv`.
pub fn attention(
    qkv: &Tensor<3>,
    sizes: Option<&Tensor<2>>,
    heads: &[usize],
    scale: f64,
) -> Option<Tensor<3>> {
    (is_fused(qkv) && scale > 0.0).then(|| {
        let features: usize = heads.iter().sum();
        let [batch, tokens, all] = qkv.dims();
        assert_eq!(all, 3 * features, "attention: the heads do not fit the input");
        let (heads, qkv) = (heads.to_vec(), qkv.clone().into_dispatch());
        Tensor::from_dispatch(match sizes {
            None => Dispatch::fused_attention(qkv, heads, scale),
            Some(sizes) => {
                assert_eq!(sizes.dims(), [batch, tokens], "attention: the sizes do not fit the input");
                Dispatch::fused_sized_attention(qkv, sizes.clone().into_dispatch(), heads, scale)
            }
        })
    })
}
