use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, ops::ConvOptions};

use super::{normal, product};
use crate::slim::{Input, Output, SlimLayer, scale_param, select_param};

/// Configuration of a [`Conv2d`].
#[derive(Config, Debug)]
pub struct Conv2dConfig {
    /// Number of input and output channels.
    pub channels: [usize; 2],
    /// Height and width of the kernel.
    pub kernel_size: [usize; 2],
    /// Height and width of a step.
    #[config(default = "[1, 1]")]
    pub stride: [usize; 2],
}

impl Conv2dConfig {
    /// A convolution with normal weights of deviation 0.02 and a bias of 0.
    pub fn init(&self, device: &Device) -> Conv2d {
        let [channels_in, channels_out] = self.channels;
        let [height, width] = self.kernel_size;
        Conv2d {
            weight: normal([channels_out, channels_in, height, width], device),
            bias: Some(Param::from_tensor(Tensor::zeros([channels_out], device))),
            stride: self.stride,
        }
    }
}

/// A 2-d convolution without padding or groups.
#[derive(Module, Debug)]
pub struct Conv2d {
    /// `[channels_out, channels_in, kernel_height, kernel_width]`
    pub weight: Param<Tensor<4>>,
    /// `[channels_out]`
    pub bias: Option<Param<Tensor<1>>>,
    /// Height and width of a step.
    pub stride: [usize; 2],
}

impl Conv2d {
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, height, width]`
    /// - output: `[batch, channels_out, height_out, width_out]`
    pub fn forward(&self, input: Tensor<4>) -> Tensor<4> {
        let bias = self.bias.as_ref().map(Param::val);
        let options = ConvOptions::new(self.stride, [0, 0], [1, 1], 1);
        product::conv2d(input, self.weight.val(), bias, options)
    }

    /// The output as a sequence. Where patches do not overlap, one matrix product computes it, which is faster than
    /// [`forward`](Self::forward) on the CPU. Pixels that fill no patch are left out, as there.
    ///
    /// # Shapes
    ///
    /// - input: `[batch, channels_in, height, width]`
    /// - output: `[batch, patches, channels_out]`, patches row by row
    pub fn forward_patches(&self, input: Tensor<4>) -> Tensor<3> {
        let [channels_out, channels_in, kernel_height, kernel_width] = self.weight.dims();
        if self.stride != [kernel_height, kernel_width] {
            return self.forward(input).flatten::<3>(2, 3).swap_dims(1, 2);
        }
        let [batch, channels, height, width] = input.dims();
        assert_eq!(channels, channels_in, "the input does not have the channels of the weight");
        let (rows, columns) = (height / kernel_height, width / kernel_width);
        let patch = channels_in * kernel_height * kernel_width;
        let patches = input
            .slice([0..batch, 0..channels_in, 0..rows * kernel_height, 0..columns * kernel_width])
            .reshape([batch, channels_in, rows, kernel_height, columns, kernel_width])
            .permute([0, 2, 4, 1, 3, 5])
            .reshape([batch, rows * columns, patch]);
        if channels_out == 0 {
            return Tensor::zeros([batch, rows * columns, 0], &patches.device());
        }
        let weight = self.weight.val().reshape([channels_out, patch]).transpose();
        product::linear(patches, weight, self.bias.as_ref().map(Param::val))
    }
}

impl SlimLayer<Input> for Conv2d {
    fn extent(&self, _: Input) -> usize {
        self.weight.dims()[1]
    }

    fn scale(mut self, _: Input, factors: Tensor<1>) -> Self {
        self.weight = scale_param(self.weight, 1, &factors);
        self
    }

    fn select(mut self, _: Input, kept: Tensor<1, Int>) -> Self {
        self.weight = select_param(self.weight, 1, &kept);
        self
    }
}

impl SlimLayer<Output> for Conv2d {
    fn extent(&self, _: Output) -> usize {
        self.weight.dims()[0]
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.weight = scale_param(self.weight, 0, &factors);
        self.bias = self.bias.map(|bias| scale_param(bias, 0, &factors));
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        self.weight = select_param(self.weight, 0, &kept);
        self.bias = self.bias.map(|bias| select_param(bias, 0, &kept));
        self
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, Tolerance};

    use super::*;

    #[test]
    fn patches_are_the_convolution_whatever_the_stride() {
        let device = Device::flex();
        // 7 x 9 pixels: some fill no patch.
        let images = Tensor::<4>::random([2, 3, 7, 9], Distribution::Normal(0.0, 1.0), &device);
        for stride in [[2, 3], [1, 1], [2, 2]] {
            let conv = Conv2dConfig::new([3, 5], [2, 3]).with_stride(stride).init(&device);
            let by_patches = conv.forward_patches(images.clone());
            let by_convolution = conv.forward(images.clone()).flatten::<3>(2, 3).swap_dims(1, 2);
            let expected = by_convolution.into_data();
            by_patches.into_data().assert_approx_eq::<f32>(&expected, Tolerance::absolute(1e-5));
        }
    }
}
