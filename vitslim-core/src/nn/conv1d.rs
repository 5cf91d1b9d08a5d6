use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, ops::ConvOptions};

use super::conv_groups::{assert_divides, slim_convolution, without_channels};
use super::init::{pytorch, weight_and_bias};
use super::listening::{Reader, reads};
use super::product;

/// Configuration of a [`Conv1d`].
#[derive(Config, Debug)]
pub struct Conv1dConfig {
    /// Number of input channels.
    pub channels_in: usize,
    /// Number of output channels.
    pub channels_out: usize,
    /// Length of the kernel.
    pub kernel_size: usize,
    /// Step of the kernel.
    #[config(default = 1)]
    pub stride: usize,
    /// Zeros added at each end.
    #[config(default = 0)]
    pub padding: usize,
    /// Groups of channels that are convolved separately; with as many groups as channels the convolution is depthwise.
    #[config(default = 1)]
    pub groups: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// What the weights are drawn from. [`Conv2dConfig`](super::Conv2dConfig) says what the default is.
    #[config(default = "pytorch()")]
    pub initializer: Initializer,
}

impl Conv1dConfig {
    /// A convolution with weights of the initializer.
    ///
    /// # Panics
    ///
    /// When the groups do not divide the channels.
    pub fn init(&self, device: &Device) -> Conv1d {
        assert_divides(self.groups, [self.channels_in, self.channels_out]);
        let [inputs, outputs] = [self.channels_in, self.channels_out].map(|channels| channels / self.groups);
        let (weight, bias) = weight_and_bias(
            &self.initializer,
            [self.channels_out, inputs, self.kernel_size],
            self.bias.then_some(self.channels_out),
            [inputs, outputs].map(|channels| channels * self.kernel_size),
            device,
        );
        Conv1d { weight, bias, stride: self.stride, padding: self.padding, groups: self.groups }
    }
}

/// A 1-d convolution. [`Conv2d`](super::Conv2d) says how to annotate one with groups.
#[derive(Module, Debug)]
pub struct Conv1d {
    /// `[channels_out, channels_in / groups, kernel]`
    pub weight: Param<Tensor<3>>,
    /// `[channels_out]`
    pub bias: Option<Param<Tensor<1>>>,
    /// Step of the kernel.
    pub stride: usize,
    /// Zeros added at each end.
    pub padding: usize,
    /// Number of groups; slicing may remove some.
    pub groups: usize,
}

impl Conv1d {
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, length]`
    /// - output: `[batch, channels_out, length_out]`
    pub fn forward(&self, input: Tensor<3>) -> Tensor<3> {
        let bias = self.bias.as_ref().map(Param::val);
        let (shape, stride, padding) = (self.weight.dims(), [self.stride], [self.padding]);
        if let Some(output) = without_channels(&input, shape, bias.as_ref(), &stride, &padding) {
            return output;
        }
        reads(Reader::Layer(self.weight.id), || {
            let [batch, channels, length] = input.dims();
            input.clone().swap_dims(1, 2).reshape([batch * length, channels])
        });
        let options = ConvOptions::new(stride, padding, [1], self.groups);
        product::conv1d(input, self.weight.val(), bias, options)
    }
}

slim_convolution!(Conv1d);
slim_convolution!(burn::nn::conv::Conv1d);
