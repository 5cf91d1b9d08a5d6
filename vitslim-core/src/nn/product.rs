//! The matrix products of layers, in the [`Precision`] of the forward pass.
//!
//! In bf16, factors are cast right before they are multiplied, gated weights included, and the product is cast back. Casts are
//! differentiable: the gradients of factors are products in bf16 too, and reach the parameters as f32.

use burn::tensor::ops::{AttentionModuleOptions, ConvOptions};
use burn::tensor::{FloatDType, Tensor, module};

use super::Precision;
use super::own_gradient::softmax;
use vitslim_kernels as kernels;

fn is_bf16() -> bool {
    Precision::current() == Precision::Bf16
}

fn bf16<const D: usize>(factor: Tensor<D>) -> Tensor<D> {
    factor.cast(FloatDType::BF16)
}

/// `x * weight + bias`; `x` is `[..., d_input]`, `weight` `[d_input, d_output]`, `bias` `[d_output]`, none of them of size 0.
pub(crate) fn linear<const D: usize>(x: Tensor<D>, weight: Tensor<2>, bias: Option<Tensor<1>>) -> Tensor<D> {
    if !is_bf16() {
        return kernels::linear(x, weight, bias);
    }
    let full = x.dtype();
    let product = module::linear(bf16(x), bf16(weight), None).cast(full);
    match bias {
        Some(bias) => product + bias.unsqueeze(),
        None => product,
    }
}

/// The convolution of `x`, `[batch, channels_in, length]`, with `weight`, `[channels_out, channels_in / groups, kernel]`, and
/// `bias`, `[channels_out]`.
pub(crate) fn conv1d(
    x: Tensor<3>,
    weight: Tensor<3>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<1>,
) -> Tensor<3> {
    if !is_bf16() {
        let Some(([stride], [padding])) = depthwise(&x, weight.dims(), &options) else {
            return module::conv1d(x, weight, bias, options);
        };
        // An image of one row, with channels last.
        let row = x.clone().permute([0, 2, 1]).unsqueeze_dim(1);
        let kernel = weight.clone().unsqueeze_dim(2);
        return match kernels::depthwise(&row, &kernel, bias.as_ref(), [1, stride], [0, padding]) {
            Some(output) => output.squeeze_dim::<3>(1).permute([0, 2, 1]),
            None => module::conv1d(x, weight, bias, options),
        };
    }
    let full = x.dtype();
    let product = module::conv1d(bf16(x), bf16(weight), None, options).cast(full);
    match bias {
        Some(bias) => product + bias.reshape([1, -1, 1]),
        None => product,
    }
}

/// Stride and padding of a depthwise convolution that [`kernels::depthwise`] may compute; `None` of another. `weight` is the shape of its
/// weight.
fn depthwise<const D: usize, const N: usize>(
    x: &Tensor<D>,
    weight: [usize; D],
    options: &ConvOptions<N>,
) -> Option<([usize; N], [usize; N])> {
    let is_depthwise = weight[..2] == [options.groups, 1] && options.dilation == [1; N];
    let is_padded_alike = options.padding.iter().all(|(before, behind)| before == behind);
    let is_computed = is_depthwise && is_padded_alike && kernels::is_fused(x);
    is_computed.then(|| (options.stride, options.padding.map(|(before, _)| before)))
}

/// The convolution of `x`, `[batch, channels_in, height, width]`, with `weight`, `[channels_out, channels_in / groups,
/// ...kernel]`, and `bias`, `[channels_out]`.
pub(crate) fn conv2d(
    x: Tensor<4>,
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
) -> Tensor<4> {
    if !is_bf16() {
        let Some((stride, padding)) = depthwise(&x, weight.dims(), &options) else {
            return module::conv2d(x, weight, bias, options);
        };
        let channels_last = x.clone().permute([0, 2, 3, 1]);
        return match kernels::depthwise(&channels_last, &weight, bias.as_ref(), stride, padding) {
            Some(output) => output.permute([0, 3, 1, 2]),
            None => module::conv2d(x, weight, bias, options),
        };
    }
    let full = x.dtype();
    let product = module::conv2d(bf16(x), bf16(weight), None, options).cast(full);
    match bias {
        Some(bias) => product + bias.reshape([1, -1, 1, 1]),
        None => product,
    }
}

/// Self-attention as one operation ([`kernels::attention`]); `None` where there is no such operation.
pub(super) fn fused_attention(
    qkv: &Tensor<3>,
    bias: Option<&Tensor<4>>,
    mask: Option<&Tensor<3>>,
    sizes: Option<&Tensor<2>>,
    attention: &kernels::Attention,
) -> Option<Tensor<3>> {
    if is_bf16() { None } else { kernels::attention(qkv, bias, mask, sizes, attention) }
}

/// Two linear layers with GELU between them as one operation ([`kernels::mlp`]); `None` where there is no such operation.
pub(super) fn fused_mlp<const D: usize>(
    x: &Tensor<D>,
    layers: [(Tensor<2>, Option<Tensor<1>>); 2],
) -> Option<Tensor<D>> {
    if is_bf16() { None } else { kernels::mlp(x, layers) }
}

/// Whether [`fused_attention`] computes what `x` is part of.
pub(super) fn fuses_attention(x: &Tensor<3>) -> bool {
    !is_bf16() && kernels::is_fused(x)
}

/// Attention of queries, `[batch, heads, queries, dims]`, to keys and values, `[batch, heads, keys, dims]`, with `bias`,
/// `[batch or 1, heads or 1, queries, keys]`, added to the scaled scores.
pub(crate) fn attention(
    q: Tensor<4>,
    k: Tensor<4>,
    v: Tensor<4>,
    bias: Option<Tensor<4>>,
    scale: f64,
) -> Tensor<4> {
    if !is_bf16() && !q.is_autodiff() {
        let options = AttentionModuleOptions { scale: Some(scale), ..Default::default() };
        return module::attention(q, k, v, None, bias, options);
    }
    // Not burn's own, whose softmax would be in bf16 on an autodiff device.
    let full = q.dtype();
    let factor = |factor| if is_bf16() { bf16(factor) } else { factor };
    let mut scores = factor(q).matmul(factor(k).swap_dims(2, 3)).cast(full) * scale;
    if let Some(bias) = bias {
        scores = scores + bias;
    }
    factor(softmax(scores)).matmul(factor(v)).cast(full)
}
