use burn::config::Config;
use burn::module::{Module, Param};
use burn::nn::Initializer;
use burn::tensor::{Device, Int, Tensor};

use super::init::{NORMAL, weight_and_bias};
use super::listening::{Reader, Use, is_listened_to, reads};
use super::product;
use crate::slim::{Input, Output, SlimLayer, scale_param, select_param};
use vitslim_kernels as kernels;

/// Configuration of a [`Linear`] layer.
#[derive(Config, Debug)]
pub struct LinearConfig {
    /// Number of input features.
    pub d_input: usize,
    /// Number of output features.
    pub d_output: usize,
    /// Whether a bias is added.
    #[config(default = true)]
    pub bias: bool,
    /// What the weights are drawn from. By default they are normal with std 0.02, as those of timm's transformers. With anything
    /// but `KaimingUniform`, PyTorch's own default, the bias is 0.
    #[config(default = "NORMAL")]
    pub initializer: Initializer,
}

impl LinearConfig {
    /// A layer with weights of the initializer.
    pub fn init(&self, device: &Device) -> Linear {
        let shape = [self.d_input, self.d_output];
        let bias = self.bias.then_some(self.d_output);
        let (weight, bias) = weight_and_bias(&self.initializer, shape, bias, shape, device);
        Linear { weight, bias }
    }
}

/// A linear layer: `output = input * weight + bias`.
#[derive(Module, Debug)]
pub struct Linear {
    /// `[d_input, d_output]`
    pub weight: Param<Tensor<2>>,
    /// `[d_output]`
    pub bias: Option<Param<Tensor<1>>>,
}

impl Linear {
    /// # Shapes
    ///
    /// - input: `[..., d_input]`
    /// - output: `[..., d_output]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        let [d_input, d_output] = self.weight.dims();
        let bias = self.bias.as_ref().map(Param::val);
        // A branch without units still adds its bias, and not every backend multiplies matrices of size 0.
        if d_input == 0 || d_output == 0 {
            let mut shape = input.dims();
            shape[D - 1] = d_output;
            let zeros = Tensor::zeros(shape, &input.device());
            return match bias {
                Some(bias) if d_output > 0 => zeros + bias.unsqueeze(),
                _ => zeros,
            };
        }
        let used = Use::Linear(self.bias.as_ref().map(|bias| bias.id));
        reads(Reader::Layer(self.weight.id), used, || {
            let samples = input.shape().num_elements() / d_input;
            input.clone().reshape([samples, d_input])
        });
        product::linear(input, self.weight.val(), bias)
    }
}

/// The first of the `layers`, GELU and the second, as one operation. `None` where there is no such operation, or where somebody listens to
/// what the layers read.
pub(crate) fn fused_mlp<const D: usize>(x: &Tensor<D>, layers: [&Linear; 2]) -> Option<Tensor<D>> {
    if is_listened_to() {
        return None;
    }
    product::fused_mlp(x, layers.map(|layer| (layer.weight.val(), layer.bias.as_ref().map(Param::val))))
}

/// `weight` that is saved in its memory order. A layer of Burn's with a column layout is saved transposed, and burn 0.22.1 can
/// load that only into a layer whose weights are not initialised yet, which those of a sliced layer are.
fn saved_as_it_lies(weight: Param<Tensor<2>>) -> Param<Tensor<2>> {
    weight.save_mapper(|weight| weight).load_mapper(|weight| weight)
}

macro_rules! slim_linear {
    ($linear:ty) => {
        impl SlimLayer<Input> for $linear {
            fn extent(&self, _: Input) -> usize {
                self.weight.dims()[0]
            }

            fn scale(mut self, _: Input, factors: Tensor<1>) -> Self {
                self.weight = scale_param(self.weight, 0, &factors);
                self
            }

            fn select(mut self, _: Input, kept: Tensor<1, Int>) -> Self {
                self.weight = saved_as_it_lies(select_param(self.weight, 0, &kept));
                self
            }
        }

        impl SlimLayer<Output> for $linear {
            fn extent(&self, _: Output) -> usize {
                self.weight.dims()[1]
            }

            fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
                self.weight = scale_param(self.weight, 1, &factors);
                self.bias = self.bias.map(|bias| scale_param(bias, 0, &factors));
                self
            }

            fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
                self.weight = saved_as_it_lies(select_param(self.weight, 1, &kept));
                self.bias = self.bias.map(|bias| select_param(bias, 0, &kept));
                self
            }
        }
    };
}

slim_linear!(Linear);
slim_linear!(burn::nn::Linear);

/// The exact GELU: `x * Phi(x)` with the error function, not the tanh approximation.
#[derive(Module, Debug, Default)]
pub struct Gelu;

impl Gelu {
    /// The activation.
    pub fn new() -> Self {
        Self
    }

    /// # Shapes
    ///
    /// - input, output: any
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if input.shape().num_elements() == 0 {
            return input;
        }
        kernels::gelu(input)
    }
}
