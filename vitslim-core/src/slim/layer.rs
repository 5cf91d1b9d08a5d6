//! What a layer must be able to do to carry a prunable dimension: one small trait, implemented once a side.

use burn::module::{Module, Param};
use burn::tensor::{Int, Tensor};

/// The input features of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input;

/// The output features of a layer. A norm has these only: what it reads, it writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output;

/// Axis number `A` of a parameter tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Axis<const A: usize>;

/// A side of a layer: [`Input`], [`Output`] or [`Axis`].
pub trait Side: Copy + std::fmt::Debug + Send + 'static {
    /// How the annotation writes this side: `input`, `output` or `axis(2)`.
    fn name(self) -> String;
}

impl Side for Input {
    fn name(self) -> String {
        "input".into()
    }
}

impl Side for Output {
    fn name(self) -> String {
        "output".into()
    }
}

impl<const A: usize> Side for Axis<A> {
    fn name(self) -> String {
        format!("axis({A})")
    }
}

/// A layer that can be gated and sliced along side `S`.
///
/// Implement it for a layer of your own to annotate it like the built-in ones; the implementations in
/// [`crate::nn`] are a few lines each and show how.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be gated or sliced along its {S} side",
    label = "this layer has no such axis",
    note = "a linear layer or convolution has `input` and `output`, a norm only `output`, a `Param<Tensor<D>>` has `axis(0)` to `axis(D - 1)`",
    note = "norms over a prunable width must be `vitslim_core::nn::LayerNorm`, which keeps its original width; implement `SlimLayer` for a layer of your own"
)]
pub trait SlimLayer<S: Side>: Module {
    /// Number of features along the side.
    fn extent(&self, side: S) -> usize;

    /// The layer with feature `i` of the side multiplied by `factors[i]`, bias included where the side is the output.
    /// `factors`: `[extent]`.
    fn scale(self, side: S, factors: Tensor<1>) -> Self;

    /// The layer with only the features `kept` left, in that order. `kept`: `[features]`, indices below the extent.
    fn select(self, side: S, kept: Tensor<1, Int>) -> Self;
}

/// `param` multiplied by `factors` (`[size of axis]`) along `axis`, with the same id, so that the gradient still
/// belongs to the original parameter. It is mapped and not made anew: a new one outside autodiff would be frozen when it
/// is taken back to training.
pub fn scale_param<const D: usize>(
    param: Param<Tensor<D>>,
    axis: usize,
    factors: &Tensor<1>,
) -> Param<Tensor<D>> {
    let mut shape = [1; D];
    shape[axis] = factors.dims()[0];
    param.map(|value| value * factors.clone().reshape(shape))
}

/// `param` with only the entries `kept` along `axis`.
pub fn select_param<const D: usize>(
    param: Param<Tensor<D>>,
    axis: usize,
    kept: &Tensor<1, Int>,
) -> Param<Tensor<D>> {
    param.map(|value| value.select(axis, kept.clone()).detach())
}

macro_rules! param_axis {
    ($($rank:literal: $($axis:literal)+;)+) => {$($(
        impl SlimLayer<Axis<$axis>> for Param<Tensor<$rank>> {
            fn extent(&self, _: Axis<$axis>) -> usize {
                self.dims()[$axis]
            }

            fn scale(self, _: Axis<$axis>, factors: Tensor<1>) -> Self {
                scale_param(self, $axis, &factors)
            }

            fn select(self, _: Axis<$axis>, kept: Tensor<1, Int>) -> Self {
                select_param(self, $axis, &kept)
            }
        }
    )+)+};
}

// One implementation per existing axis, so that `axis(3)` of a `Param<Tensor<2>>` is a compile error.
param_axis! {
    1: 0;
    2: 0 1;
    3: 0 1 2;
    4: 0 1 2 3;
}
