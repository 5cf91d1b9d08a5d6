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
        let ConvOptions { stride: [stride], padding: [padding], dilation: [dilation], groups } =
            options.clone();
        let of_row =
            ConvOptions { stride: [1, stride], padding: [(0, 0), padding], dilation: [1, dilation], groups };
        let weight_of_row = [weight.dims()[0], weight.dims()[1]];
        if !is_depthwise(weight_of_row, &of_row) || !kernels::is_fused(&x) {
            return module::conv1d(x, weight, bias, options);
        }
        // As an image of one row, with channels last before it is one: what they are in is not copied.
        let row = x.clone().permute([0, 2, 1]).unsqueeze_dim::<4>(1).permute([0, 3, 1, 2]);
        return match depthwise(&row, &weight.clone().unsqueeze_dim(2), bias.as_ref(), &of_row) {
            Some(output) => output.permute([0, 2, 3, 1]).squeeze_dim::<3>(1).permute([0, 2, 1]),
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

/// Whether a convolution with so many output channels, and input channels in a group, is depthwise, and of a kind for which there may be one
/// operation.
fn is_depthwise(weight: [usize; 2], options: &ConvOptions<2>) -> bool {
    let has_other_padding = options.padding.iter().any(|(before, behind)| before != behind);
    weight == [options.groups, 1] && options.dilation == [1, 1] && !has_other_padding
}

/// A depthwise convolution as one operation ([`kernels::depthwise`]); `None` for another, or where there is no such operation.
fn depthwise(
    x: &Tensor<4>,
    weight: &Tensor<4>,
    bias: Option<&Tensor<1>>,
    options: &ConvOptions<2>,
) -> Option<Tensor<4>> {
    let [out, in_a_group, ..] = weight.dims();
    if !is_depthwise([out, in_a_group], options) || !kernels::is_fused(x) {
        return None;
    }
    let padding = options.padding.map(|(before, _)| before);
    let output = kernels::depthwise(&x.clone().permute([0, 2, 3, 1]), weight, bias, options.stride, padding)?;
    Some(output.permute([0, 3, 1, 2]))
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
        return depthwise(&x, &weight, bias.as_ref(), &options)
            .unwrap_or_else(|| module::conv2d(x, weight, bias, options));
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

/// Whether self-attention is one operation where `x` is.
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
