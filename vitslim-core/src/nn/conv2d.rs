use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Tensor, ops::ConvOptions};

use super::conv_groups::{assert_divides, slim_convolution, without_channels};
use super::init::{pytorch, weight_and_bias};
use super::listening::{Reader, reads};
use super::product;

/// Configuration of a [`Conv2d`].
#[derive(Config, Debug)]
pub struct Conv2dConfig {
    /// Number of input and output channels.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Vertical and horizontal step of the kernel.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
    /// Rows of zeros added above and below, and columns added left and right.
    #[config(default = "[0, 0]")]
    pub padding: [usize; 2],
    /// Groups of channels that are convolved separately; with as many groups as channels the convolution is depthwise.
    #[config(default = 1)]
    pub groups: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// What the weights are drawn from. By default weights and bias are uniform within `1 / sqrt(inputs)`, where `inputs` are the
    /// values that an output reads, as in PyTorch; so are the patch embeddings of timm's ViT, DeiT and Swin. With anything but
    /// `KaimingUniform` the bias is 0.
    #[config(default = "pytorch()")]
    pub initializer: Initializer,
}

impl Conv2dConfig {
    /// A convolution with weights of the initializer.
    ///
    /// # Panics
    ///
    /// When the groups do not divide the channels.
    pub fn init(&self, device: &Device) -> Conv2d {
        assert_divides(self.groups, self.channels);
        let [_, channels_out] = self.channels;
        let [inputs, outputs] = self.channels.map(|channels| channels / self.groups);
        let [height, width] = self.kernel_size;
        let (weight, bias) = weight_and_bias(
            &self.initializer,
            [channels_out, inputs, height, width],
            self.bias.then_some(channels_out),
            [inputs, outputs].map(|channels| channels * height * width),
            device,
        );
        Conv2d { weight, bias, stride: self.stride, padding: self.padding, groups: self.groups }
    }
}

/// A 2-d convolution.
///
/// Annotating a convolution with groups:
///
/// - *Depthwise*, with as many groups as channels, input and output are one dimension. Annotate only `output = [hidden]`; the
///   input follows.
/// - A unit can be a whole group, whose input channels go too. With groups of 4, annotate only `output = [hidden, 4]`.
/// - A unit can be one channel of each group. With 2 groups, annotate the input or the output as `[2, hidden]`.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[channels_out, channels_in / groups, kernel_height, kernel_width]`
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`
    pub bias: Option<Param<Tensor<1>>>,
    /// Vertical and horizontal step of the kernel.
    pub stride: [usize; 2],
    /// Rows of zeros added above and below, and columns added left and right.
    pub padding: [usize; 2],
    /// Number of groups; slicing may remove some.
    pub groups: usize,
}

impl Conv2d {
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, height, width]`
    /// - output: `[batch, channels_out, height_out, width_out]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(Param::val);
        let shape = self.weight.dims();
        if let Some(output) = without_channels(&input, shape, bias.as_ref(), &self.stride, &self.padding) {
            return output;
        }
        self.tell(&input);
        let options = ConvOptions::new(self.stride, self.padding, [1, 1], self.groups);
        product::conv2d(input, self.weight.val(), bias, options)
    }

    /// The output of [`forward_channels_last`](Self::forward_channels_last) as a sequence.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, height, width]`
    /// - output: `[batch, patches, channels_out]`, patches row by row
    pub fn forward_patches(&self, input: Tensor<4>) -> Tensor<3> {
        self.forward_channels_last(input).flatten(1, 2)
    }

    /// The output with channels last, as norms and linear layers take it. If patches do not overlap, one matrix product
    /// computes it, which is faster than [`forward`](Self::forward) on the CPU. Pixels that do not fill a patch are ignored,
    /// as in `forward`.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, height, width]`
    /// - output: `[batch, height_out, width_out, channels_out]`
    pub fn forward_channels_last(&self, input: Tensor<4>) -> Tensor<4> {
        let [channels_out, channels_in, kernel_height, kernel_width] = self.weight.dims();
        let patchwise = self.stride == [kernel_height, kernel_width] && self.padding == [0, 0];
        if !patchwise || self.groups != 1 || channels_out == 0 || channels_in == 0 {
            return self.forward(input).permute([0, 2, 3, 1]);
        }
        let [batch, channels, height, width] = input.dims();
        assert_eq!(channels, channels_in, "the input does not have as many channels as the weight");
        self.tell(&input);
        let (rows, columns) = (height / kernel_height, width / kernel_width);
        let patch = channels_in * kernel_height * kernel_width;
        let patches = input
            .slice([0..batch, 0..channels_in, 0..rows * kernel_height, 0..columns * kernel_width])
            .reshape([batch, channels_in, rows, kernel_height, columns, kernel_width])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows, columns, patch]);
        let weight = self.weight.val().reshape([channels_out, patch]).transpose();
        product::linear(patches, weight, self.bias.as_ref().map(Param::val))
    }

    /// Tells whoever listens what it reads.
    fn tell(&self, input: &Tensor<4>) {
        reads(Reader::Layer(self.weight.id), || {
            let [batch, channels, height, width] = input.dims();
            input.clone().permute([0, 2, 3, 1]).reshape([batch * height * width, channels])
        });
    }
}

slim_convolution!(Conv2d);
slim_convolution!(burn::nn::conv::Conv2d);

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    #[test]
    fn channels_last_and_patches_are_the_convolution_whatever_the_stride() {
        let device = Device::flex();
        // 7 x 9 pixels: some do not fill a patch.
        let images = Tensor::<4>::random([2, 3, 7, 9], Distribution::Normal(0.0, 1.0), &device);
        for (stride, padding, groups) in [
            ([2, 3], [0, 0], 1),
            ([1, 1], [0, 0], 1),
            ([2, 2], [0, 0], 1),
            ([2, 3], [1, 0], 1),
            ([2, 3], [0, 0], 3),
        ] {
            let conv = Conv2dConfig::new([3, 6], [2, 3]).with_stride(stride).with_padding(padding);
            let conv = conv.with_groups(groups).init(&device);
            let expected = conv.forward(images.clone()).permute([0, 2, 3, 1]);
            let found = conv.forward_channels_last(images.clone());
            assert_eq!(found.dims(), expected.dims());
            let sequence = conv.forward_patches(images.clone());
            sequence.into_data().assert_eq(&found.clone().flatten::<3>(1, 2).into_data(), true);
            found.into_data().assert_approx_eq::<f32>(&expected.into_data(), Tolerance::absolute(1e-5));
        }
    }

    #[test]
    fn without_input_channels_each_output_is_the_bias() {
        let device = Device::flex();
        let mut conv = Conv2dConfig::new([1, 2], [2, 2]).with_stride([2, 2]).init(&device);
        conv.weight = Param::from_tensor(Tensor::zeros([2, 0, 2, 2], &device));
        conv.bias = Some(Param::from_tensor(Tensor::from_data([3.0, 4.0], &device)));
        let output = conv.forward_channels_last(Tensor::zeros([1, 0, 4, 2], &device));
        assert_eq!(output.dims(), [1, 2, 1, 2]);
        assert_eq!(output.into_data().try_into_vec::<f32>().unwrap(), [3.0, 4.0, 3.0, 4.0]);
    }
}
