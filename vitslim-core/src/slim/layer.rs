//! What a layer must do to carry a prunable dimension: one small trait, implemented for each side.

use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, TensorData};

/// The input features of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Input;

/// The output features of a layer. A norm has only these: it writes the features that it reads.
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
/// # A layer of your own
///
/// Implement it for each side that is prunable, and annotate the layer like the built-in ones. A layer says how many features
/// the side has, and how its parameters are multiplied and selected along it; [`scale_param`] and [`select_param`] do that for
/// one axis of one parameter. This is an activation with a learned slope for each feature:
///
/// ```
/// use burn::tensor::Int;
/// use vitslim_core::prelude::*;
/// use vitslim_core::slim::{Output, Plan, SlimLayer, describe, scale_param, select_param};
///
/// #[derive(Module, Debug)]
/// pub struct ScaledRelu {
///     /// `[features]`
///     slope: Param<Tensor<1>>,
/// }
///
/// impl ScaledRelu {
///     pub fn forward(&self, x: Tensor<2>) -> Tensor<2> {
///         x.clamp_min(0.0) * self.slope.val().unsqueeze()
///     }
/// }
///
/// impl SlimLayer<Output> for ScaledRelu {
///     fn extent(&self, _: Output) -> usize {
///         self.slope.dims()[0]
///     }
///
///     fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
///         self.slope = scale_param(self.slope, 0, &factors);
///         self
///     }
///
///     fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
///         self.slope = select_param(self.slope, 0, &kept);
///         self
///     }
/// }
///
/// #[derive(Module, Debug, Slimmable)]
/// pub struct Mlp {
///     #[slim(output = [hidden])]
///     fc1: Linear,
///     #[slim(output = [hidden], gate)]
///     act: ScaledRelu,
///     #[slim(input = [hidden])]
///     fc2: Linear,
/// }
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let device = Device::flex();
/// let mlp = Mlp {
///     fc1: LinearConfig::new(4, 8).init(&device),
///     act: ScaledRelu { slope: Param::from_tensor(Tensor::ones([8], &device)) },
///     fc2: LinearConfig::new(8, 4).init(&device),
/// };
/// let mut plan = Plan::whole(&describe(&mlp)?);
/// plan.cuts[0].keep = vec![1, 6];
/// let small = mlp.slim(&plan)?;
/// let x = Tensor::ones([1, 4], &device);
/// let output = small.fc2.forward(small.act.forward(small.fc1.forward(x)));
/// assert_eq!((small.act.slope.dims(), output.dims()), ([2], [1, 4]));
/// # Ok(())
/// # }
/// ```
///
/// One rule: with some features multiplied by 0, the layer must compute what it computes without them. A layer that treats
/// each feature separately does. One that takes a mean over the features, as a norm does, must remember how many there were, until
/// [`with_statistics_over`](Self::with_statistics_over) tells it otherwise.
/// Without any feature, a layer must return an output of size 0, which not every operation of Burn does. A layer that can only
/// take some cuts says so in [`check`](Self::check).
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be gated or sliced along its {S} side",
    label = "this layer has no such axis"
)]
pub trait SlimLayer<S: Side>: Module {
    /// Number of features along the side.
    fn extent(&self, side: S) -> usize;

    /// Whether the layer works with only the features `kept` of the side, in that order. Most layers do with any, and leave
    /// this method out.
    ///
    /// It is called before anything is trained, when the dimensions of a model are described, with all features and with those
    /// that are left without one unit: a side that refuses either cannot carry the dimension. It is called again with the
    /// features that a plan keeps.
    ///
    /// # Errors
    ///
    /// Why not, and what to write instead, to follow "the output of `conv` cannot carry `hidden`: ".
    fn check(&self, _side: S, _kept: &[usize]) -> Result<(), String> {
        Ok(())
    }

    /// The numbers that it computes with beside its parameters and their sizes, by name: the epsilon and the original width of a
    /// norm. They are saved with a sub-network, for programs that compute it from its files. Most layers have none.
    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        Vec::new()
    }

    /// The layer with statistics over `features` features of the side, of which all others are 0. A layer that takes no statistics over the
    /// whole side stays as it is.
    ///
    /// It is called where a plan says [`NormStatistics::Sliced`](super::NormStatistics::Sliced), with as many features as the plan keeps:
    /// before the layer is cut, and also where it is masked instead.
    #[must_use]
    fn with_statistics_over(self, _side: S, _features: usize) -> Self {
        self
    }

    /// The layer with feature `i` of the side multiplied by `factors[i]`, including the bias if the side is the output.
    /// `factors`: `[extent]`.
    fn scale(self, side: S, factors: Tensor<1>) -> Self;

    /// The layer with only the features `kept`, in that order. `kept`: `[features]`, indices below the extent that passed
    /// [`check`](Self::check).
    fn select(self, side: S, kept: Tensor<1, Int>) -> Self;
}

/// `param` multiplied by `factors` (`[size of axis]`) along `axis`. It keeps its id, so that the gradient still belongs to the
/// original parameter, and is mapped rather than made anew: a parameter made outside autodiff would be frozen when the model
/// goes back to training.
pub fn scale_param<const D: usize>(
    param: Param<Tensor<D>>,
    axis: usize,
    factors: &Tensor<1>,
) -> Param<Tensor<D>> {
    // Burn does not multiply what has no entries.
    if param.dims().contains(&0) {
        return param;
    }
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

/// `indices` as a tensor to select by.
pub(crate) fn index_tensor(indices: &[usize], device: &Device) -> Tensor<1, Int> {
    let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
    let count = indices.len();
    Tensor::from_data(TensorData::new(indices, [count]), device)
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
    5: 0 1 2 3 4;
    6: 0 1 2 3 4 5;
}
