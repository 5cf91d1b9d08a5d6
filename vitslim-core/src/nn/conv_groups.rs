//! Gating and slicing the weight of a convolution, `[channels_out, channels_in / groups, ...kernel]`.
//!
//! Output channels are ordered by group, and so are input channels. After a cut it is still a convolution if either whole
//! groups go, with their input channels, or every group loses the same number of channels. The axis says which: with groups
//! of 4, `[hidden, 4]` makes each unit a group; with 2 groups, `[2, hidden]` makes each unit one channel of each group.

use burn::module::Param;
use burn::tensor::{Int, Tensor};

use crate::slim::{scale_param, select_param};

/// What is left after a cut.
enum Left {
    /// This many whole groups.
    Whole(usize),
    /// All groups, each with the same number of channels.
    Equal,
}

/// What the channels `kept` leave of `groups` of `size` channels each, if that is still a convolution.
fn left(kept: &[usize], groups: usize, size: usize) -> Option<Left> {
    if kept.is_empty() {
        // All groups, without channels.
        return Some(Left::Equal);
    }
    let same_group = |channels: &[usize]| channels.windows(2).all(|pair| pair[0] / size == pair[1] / size);
    if kept.len().is_multiple_of(size) && kept.chunks(size).all(same_group) {
        return Some(Left::Whole(kept.len() / size));
    }
    let each = kept.len() / groups;
    let in_order = |(group, channels): (usize, &[usize])| channels.iter().all(|c| c / size == group);
    let equal = kept.len().is_multiple_of(groups) && kept.chunks(each).enumerate().all(in_order);
    equal.then_some(Left::Equal)
}

/// `SlimLayer::check` of the input.
pub(super) fn check_input(in_a_group: usize, groups: usize, kept: &[usize]) -> Result<(), String> {
    if groups == 1 || kept.len() == groups * in_a_group {
        return Ok(());
    }
    match left(kept, groups, in_a_group) {
        Some(Left::Equal) => Ok(()),
        Some(Left::Whole(_)) if in_a_group == 1 => Err(
            "input and output of a depthwise convolution are one dimension, since each output channel reads one input channel: \
             write only its `output = [...]`, and the input follows"
                .into(),
        ),
        Some(Left::Whole(_)) => Err(format!(
            "the convolution has {groups} groups, and a group without input must go from the output too: to cut whole groups, \
             write only its `output = [...]`"
        )),
        None => Err(unequal(groups, in_a_group)),
    }
}

/// `SlimLayer::check` of the output.
pub(super) fn check_output(out_in_a_group: usize, groups: usize, kept: &[usize]) -> Result<(), String> {
    match groups == 1 || left(kept, groups, out_in_a_group).is_some() {
        true => Ok(()),
        false => Err(unequal(groups, out_in_a_group)),
    }
}

fn unequal(groups: usize, size: usize) -> String {
    format!(
        "the convolution has {groups} groups of {size} channels, and a single channel of one group cannot be cut: make a unit a \
         whole group, as in `output = [hidden, {size}]`, or one channel of each group, as in `[{groups}, hidden]`"
    )
}

/// The number of groups after only `kept` of `groups * size` output channels are left.
pub(super) fn groups_left(kept: &Tensor<1, Int>, groups: usize, size: usize) -> usize {
    if groups == 1 {
        return 1;
    }
    let kept: Vec<usize> = kept.to_data().iter::<i64>().map(|channel| channel as usize).collect();
    match left(&kept, groups, size) {
        Some(Left::Whole(left)) => left,
        _ => groups,
    }
}

/// `weight` multiplied by `factors`, `[channels_in]`, at its input.
pub(super) fn scale_input<const D: usize>(
    weight: Param<Tensor<D>>,
    groups: usize,
    factors: &Tensor<1>,
) -> Param<Tensor<D>> {
    match groups {
        1 => scale_param(weight, 1, factors),
        // Burn does not reshape tensors of size 0, and without output channels there is nothing to multiply.
        _ if weight.dims()[0] == 0 => weight,
        _ => weight.map(|weight| {
            by_input_channel(weight, groups, |weight| weight * factors.clone().unsqueeze_dim::<2>(1))
        }),
    }
}

/// `weight` with only the input channels `kept`, the same number from each group.
pub(super) fn select_input<const D: usize>(
    weight: Param<Tensor<D>>,
    groups: usize,
    kept: &Tensor<1, Int>,
) -> Param<Tensor<D>> {
    // Without input channels there is nothing to reorder.
    if groups == 1 || kept.dims() == [0] {
        return select_param(weight, 1, kept);
    }
    if weight.dims()[0] == 0 {
        return weight.map(|weight| weight.narrow(1, 0, kept.dims()[0] / groups).detach());
    }
    weight.map(|weight| by_input_channel(weight, groups, |weight| weight.select(0, kept.clone())).detach())
}

/// `weight` after `change`, which gets and returns it as `[channels_in, ...]`.
fn by_input_channel<const D: usize>(
    weight: Tensor<D>,
    groups: usize,
    change: impl FnOnce(Tensor<2>) -> Tensor<2>,
) -> Tensor<D> {
    let mut shape = weight.dims();
    let [out, each] = [shape[0] / groups, shape[1]];
    let kernel: usize = shape[2..].iter().product();
    let rows =
        weight.reshape([groups, out, each, kernel]).swap_dims(1, 2).reshape([groups * each, out * kernel]);
    let rows = change(rows);
    shape[1] = rows.dims()[0] / groups;
    rows.reshape([groups, shape[1], out, kernel]).swap_dims(1, 2).reshape(shape)
}

/// # Panics
///
/// When `groups` do not divide `channels`.
#[track_caller]
pub(super) fn assert_divides(groups: usize, channels: [usize; 2]) {
    let divides = groups > 0 && channels.iter().all(|channels| channels.is_multiple_of(groups));
    assert!(
        divides,
        "convolution: {groups} groups do not divide {} and {} channels",
        channels[0], channels[1]
    );
}

/// The output of a convolution without input or output channels: its bias. `None` if it has both, since not every backend
/// convolves tensors of size 0. `weight` is the shape of the weight.
pub(super) fn without_channels<const D: usize>(
    x: &Tensor<D>,
    weight: [usize; D],
    bias: Option<&Tensor<1>>,
    stride: &[usize],
    padding: &[usize],
) -> Option<Tensor<D>> {
    let [channels_out, in_a_group] = [weight[0], weight[1]];
    if channels_out > 0 && in_a_group > 0 {
        return None;
    }
    let (mut shape, mut along_channels) = (x.dims(), [1; D]);
    (shape[1], along_channels[1]) = (channels_out, channels_out);
    for (axis, (stride, padding)) in (2..D).zip(stride.iter().zip(padding)) {
        shape[axis] = (shape[axis] + 2 * padding).saturating_sub(weight[axis]) / stride + 1;
    }
    let zeros = Tensor::zeros(shape, &x.device());
    Some(match bias {
        Some(bias) if channels_out > 0 => zeros + bias.clone().reshape(along_channels),
        _ => zeros,
    })
}

/// Implements `SlimLayer` for a convolution with the fields of Burn's.
macro_rules! slim_convolution {
    ($convolution:ty) => {
        impl $crate::slim::SlimLayer<$crate::slim::Input> for $convolution {
            fn extent(&self, _: $crate::slim::Input) -> usize {
                self.weight.dims()[1] * self.groups
            }

            fn check(&self, _: $crate::slim::Input, kept: &[usize]) -> Result<(), String> {
                $crate::nn::conv_groups::check_input(self.weight.dims()[1], self.groups, kept)
            }

            fn scale(mut self, _: $crate::slim::Input, factors: burn::tensor::Tensor<1>) -> Self {
                self.weight = $crate::nn::conv_groups::scale_input(self.weight, self.groups, &factors);
                self
            }

            fn select(
                mut self,
                _: $crate::slim::Input,
                kept: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> Self {
                self.weight = $crate::nn::conv_groups::select_input(self.weight, self.groups, &kept);
                self
            }
        }

        impl $crate::slim::SlimLayer<$crate::slim::Output> for $convolution {
            fn extent(&self, _: $crate::slim::Output) -> usize {
                self.weight.dims()[0]
            }

            fn check(&self, _: $crate::slim::Output, kept: &[usize]) -> Result<(), String> {
                let out_in_a_group = self.weight.dims()[0] / self.groups;
                $crate::nn::conv_groups::check_output(out_in_a_group, self.groups, kept)
            }

            fn scale(mut self, _: $crate::slim::Output, factors: burn::tensor::Tensor<1>) -> Self {
                self.weight = $crate::slim::scale_param(self.weight, 0, &factors);
                self.bias = self.bias.map(|bias| $crate::slim::scale_param(bias, 0, &factors));
                self
            }

            fn select(
                mut self,
                _: $crate::slim::Output,
                kept: burn::tensor::Tensor<1, burn::tensor::Int>,
            ) -> Self {
                let out_in_a_group = self.weight.dims()[0] / self.groups;
                self.groups = $crate::nn::conv_groups::groups_left(&kept, self.groups, out_in_a_group);
                self.weight = $crate::slim::select_param(self.weight, 0, &kept);
                self.bias = self.bias.map(|bias| $crate::slim::select_param(bias, 0, &kept));
                self
            }
        }
    };
}

pub(super) use slim_convolution;
