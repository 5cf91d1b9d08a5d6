//! Convolutions, with groups and without, and the norms over channels.

use burn::nn::PaddingConfig2d;
use vitslim_core::prelude::*;

use crate::harness::{Masks, Network, check, flat};

/// The norm is gated, not the convolution before it.
#[derive(Module, Debug, Slimmable)]
pub struct ConvNormConv {
    #[slim(output = [hidden])]
    pub conv1: Conv2d,
    #[slim(output = [hidden], gate)]
    pub norm: BatchNorm,
    act: Gelu,
    #[slim(input = [hidden])]
    conv2: Conv2d,
}

impl Network for ConvNormConv {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([4, 7], [3, 3]).with_padding([1, 1]).init(device),
            norm: BatchNormConfig::new(7).init(device),
            act: Gelu::new(),
            conv2: Conv2dConfig::new([7, 3], [3, 2]).with_stride([2, 1]).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = masks.on("hidden", self.norm.forward(self.conv1.forward(x)), 1);
        flat(self.conv2.forward(self.act.forward(x)))
    }
}

#[test]
fn conv_norm_conv() {
    check::<ConvNormConv>();
}

/// An inverted bottleneck: the depthwise convolution has one dimension, its output.
#[derive(Module, Debug, Slimmable)]
struct Depthwise {
    #[slim(output = [hidden])]
    expand: Conv2d,
    act: Gelu,
    #[slim(output = [hidden])]
    depthwise: Conv2d,
    #[slim(input = [hidden], gate)]
    project: Conv2d,
}

impl Network for Depthwise {
    fn new(device: &Device) -> Self {
        Self {
            expand: Conv2dConfig::new([4, 6], [1, 1]).init(device),
            act: Gelu::new(),
            depthwise: Conv2dConfig::new([6, 6], [3, 2]).with_padding([1, 0]).with_groups(6).init(device),
            project: Conv2dConfig::new([6, 3], [1, 1]).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = self.depthwise.forward(self.act.forward(self.expand.forward(x)));
        flat(self.project.forward(masks.on("hidden", self.act.forward(x), 1)))
    }
}

#[test]
fn depthwise() {
    check::<Depthwise>();
}

/// Two output channels for each input channel.
#[derive(Module, Debug, Slimmable)]
struct DepthMultiplier {
    #[slim(output = [hidden], gate)]
    expand: Conv1d,
    #[slim(output = [hidden, 2])]
    depthwise: Conv1d,
    #[slim(input = [hidden, 2], gate)]
    project: Conv1d,
}

impl Network for DepthMultiplier {
    fn new(device: &Device) -> Self {
        Self {
            expand: Conv1dConfig::new(4, 5, 3).with_padding(1).init(device),
            depthwise: Conv1dConfig::new(5, 10, 3).with_stride(2).with_groups(5).init(device),
            project: Conv1dConfig::new(10, 3, 1).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = masks.on("hidden", self.expand.forward(x.flatten(2, 3)), 1);
        let [batch, channels, length] = self.depthwise.forward(x.clone()).dims();
        // `[hidden, 2]`: the dimension is the outer factor.
        let x = self.depthwise.forward(x).reshape([batch, channels / 2, 2, length]);
        let x = masks.on("hidden", x, 1).reshape([batch, channels, length]);
        flat(self.project.forward(x))
    }
}

#[test]
fn depth_multiplier_in_one_dimension() {
    check::<DepthMultiplier>();
}

/// A unit is a whole group: three channels in, two out.
#[derive(Module, Debug, Slimmable)]
struct WholeGroups {
    #[slim(output = [hidden, 3])]
    before: Conv2d,
    #[slim(output = [hidden, 2], gate)]
    grouped: Conv2d,
    #[slim(input = [hidden, 2])]
    after: Conv2d,
}

impl Network for WholeGroups {
    fn new(device: &Device) -> Self {
        Self {
            before: Conv2dConfig::new([4, 12], [1, 1]).init(device),
            grouped: Conv2dConfig::new([12, 8], [2, 2]).with_groups(4).init(device),
            after: Conv2dConfig::new([8, 3], [2, 2]).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = self.grouped.forward(self.before.forward(x));
        let [batch, channels, height, width] = x.dims();
        let x = masks.on("hidden", x.reshape([batch, channels / 2, 2, height, width]), 1);
        flat(self.after.forward(x.reshape([batch, channels, height, width])))
    }
}

#[test]
fn whole_groups() {
    check::<WholeGroups>();
}

/// A unit is a channel of each group, at the input and at the output.
#[derive(Module, Debug, Slimmable)]
struct EqualGroups {
    #[slim(output = [2, inner])]
    before: Conv2d,
    #[slim(output = [2, hidden], gate, input = [2, inner], gate)]
    grouped: Conv2d,
    #[slim(input = [2, hidden])]
    after: Conv2d,
}

impl Network for EqualGroups {
    fn new(device: &Device) -> Self {
        Self {
            before: Conv2dConfig::new([4, 6], [1, 1]).init(device),
            grouped: Conv2dConfig::new([6, 8], [2, 2]).with_groups(2).with_bias(false).init(device),
            after: Conv2dConfig::new([8, 3], [2, 2]).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = masks.on("inner", self.before.forward(x), 1);
        flat(self.after.forward(masks.on("hidden", self.grouped.forward(x), 1)))
    }
}

#[test]
fn equal_groups() {
    check::<EqualGroups>();
}

/// What the norm reads is gated as well as the norm.
#[derive(Module, Debug, Slimmable)]
struct GroupNormed {
    #[slim(output = [hidden], gate)]
    conv1: Conv2d,
    #[slim(output = [hidden], gate)]
    norm: GroupNorm,
    act: Gelu,
    #[slim(input = [hidden])]
    conv2: Conv2d,
}

impl Network for GroupNormed {
    fn new(device: &Device) -> Self {
        Self {
            conv1: Conv2dConfig::new([4, 9], [2, 2]).init(device),
            norm: GroupNormConfig::new(3, 9).init(device),
            act: Gelu::new(),
            conv2: Conv2dConfig::new([9, 3], [2, 2]).init(device),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let x = masks.on("hidden", self.conv1.forward(x), 1);
        let x = masks.on("hidden", self.norm.forward(x), 1);
        flat(self.conv2.forward(self.act.forward(x)))
    }
}

#[test]
fn group_norm() {
    check::<GroupNormed>();
}

#[test]
fn group_norm_is_burns() {
    let device = crate::harness::device();
    let x = Tensor::<4>::random([2, 6, 3, 2], burn::tensor::Distribution::Normal(1.0, 2.0), &device);
    let ours = GroupNormConfig::new(2, 6).init(&device).forward(x.clone());
    let burns = burn::nn::GroupNormConfig::new(2, 6).init(&device).forward(x);
    // Burn's casts to f32 inside.
    let difference = (ours - burns).abs().max().into_scalar::<f64>();
    assert!(difference < 1e-5, "{difference}");
}

/// Burn's own convolution, where at least one channel is left.
#[derive(Module, Debug, Slimmable)]
struct BurnsConvolutions {
    #[slim(output = [hidden])]
    expand: burn::nn::conv::Conv2d,
    #[slim(output = [hidden])]
    depthwise: burn::nn::conv::Conv2d,
    #[slim(input = [hidden], gate)]
    project: burn::nn::conv::Conv2d,
    bias: Param<Tensor<1>>,
}

impl Network for BurnsConvolutions {
    fn new(device: &Device) -> Self {
        let conv = |channels, kernel| burn::nn::conv::Conv2dConfig::new(channels, kernel);
        let padding = PaddingConfig2d::Explicit(1, 0, 1, 0);
        Self {
            expand: conv([4, 6], [1, 1]).init(device),
            depthwise: conv([6, 6], [3, 1]).with_padding(padding).with_groups(6).init(device),
            project: conv([6, 3], [1, 1]).with_bias(false).init(device),
            bias: Param::from_tensor(Tensor::zeros([3], device)),
        }
    }

    fn forward(&self, x: Tensor<4>, masks: &Masks) -> Tensor<2> {
        let bias = self.bias.val().reshape([1, 3, 1, 1]);
        if self.project.weight.dims()[1] == 0 {
            return flat(Tensor::zeros([2, 3, 5, 3], &x.device()) + bias);
        }
        let x = masks.on("hidden", self.depthwise.forward(self.expand.forward(x)), 1);
        flat(self.project.forward(x) + bias)
    }
}

#[test]
fn burns_convolutions() {
    check::<BurnsConvolutions>();
}
