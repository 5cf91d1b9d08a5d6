//! How parameters are initialised.
//!
//! All are drawn at once and not on first use, as Burn's layers do: so weights are drawn in the order of the code, and a seed always
//! gives the same.

use burn::module::Param;
use burn::nn::Initializer;
use burn::tensor::{Device, Distribution, Tensor};

use super::draw::turn;

/// What timm's transformers draw their weights from, and a ConvNeXt its convolutions.
pub(crate) const NORMAL: Initializer = Initializer::Normal { mean: 0.0, std: 0.02 };

/// What PyTorch draws its layers from: uniform within `1 / sqrt(inputs)`, where `inputs` are the values that an output reads.
pub(super) fn pytorch() -> Initializer {
    Initializer::KaimingUniform { gain: 1.0 / f64::sqrt(3.0), fan_out_only: false }
}

/// A parameter drawn from a normal distribution with mean 0 and deviation `std`. timm draws positions, and all tokens but the class
/// token, with 0.02 (`trunc_normal_(std=.02)`; its bounds of ±2 are a hundred stds away, so nothing is truncated here), and the
/// class token with 1e-6.
pub fn normal<const D: usize>(shape: [usize; D], std: f64, device: &Device) -> Param<Tensor<D>> {
    let _turn = turn();
    Param::from_tensor(Tensor::random(shape, Distribution::Normal(0.0, std), device))
}

/// The weight of a layer, and its bias if it has one. The bias is drawn only with [`Initializer::KaimingUniform`], as in PyTorch,
/// and 0 with every other.
///
/// `fans` are the inputs of each output and the outputs of each input.
pub(super) fn weight_and_bias<const D: usize>(
    initializer: &Initializer,
    weight: [usize; D],
    bias: Option<usize>,
    fans: [usize; 2],
    device: &Device,
) -> (Param<Tensor<D>>, Option<Param<Tensor<1>>>) {
    let weight = drawn(initializer, weight, fans, device);
    let bias = bias.map(|outputs| match initializer {
        Initializer::KaimingUniform { .. } => drawn(initializer, [outputs], fans, device),
        _ => Param::from_tensor(Tensor::zeros([outputs], device)),
    });
    (weight, bias)
}

fn drawn<const D: usize>(
    initializer: &Initializer,
    shape: [usize; D],
    fans: [usize; 2],
    device: &Device,
) -> Param<Tensor<D>> {
    // Without inputs, the bounds would be infinite.
    let [fan_in, fan_out] = fans.map(|fan| Some(fan.max(1)));
    let _turn = turn();
    Param::from_tensor(initializer.init_with(shape, fan_in, fan_out, device).into_value())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nn::{Conv1dConfig, Conv2dConfig, EmbeddingConfig, LinearConfig};

    /// The largest value, and how far the mean square is off that of a uniform distribution with this bound, relative.
    fn of_uniform<const D: usize>(param: &Param<Tensor<D>>, bound: f32) -> (f32, f32) {
        let largest = param.val().abs().max().into_scalar::<f32>();
        (largest, param.val().square().mean().into_scalar::<f32>() * 3.0 / bound.powi(2) - 1.0)
    }

    #[test]
    fn a_convolution_is_drawn_as_in_pytorch_by_the_inputs_of_an_output_with_its_bias() {
        let device = Device::flex();
        let check = |weight: (f32, f32), bias: (f32, f32), bound: f32| {
            for (largest, off) in [weight, bias] {
                assert!(largest <= bound && largest > 0.98 * bound, "{largest} of {bound}");
                assert!(off.abs() < 0.1, "{off}");
            }
        };
        // Of 12 channels in 3 groups, an output reads 4.
        let conv = Conv2dConfig::new([12, 3000], [2, 3]).with_groups(3).init(&device);
        let bound = 1.0 / 24f32.sqrt();
        check(of_uniform(&conv.weight, bound), of_uniform(conv.bias.as_ref().unwrap(), bound), bound);
        let conv = Conv1dConfig::new(12, 3000, 5).with_groups(3).init(&device);
        let bound = 1.0 / 20f32.sqrt();
        check(of_uniform(&conv.weight, bound), of_uniform(conv.bias.as_ref().unwrap(), bound), bound);
        let initializer = Conv1dConfig::new(1, 1, 1).initializer;
        let linear = LinearConfig::new(16, 3000).with_initializer(initializer).init(&device);
        check(of_uniform(&linear.weight, 0.25), of_uniform(linear.bias.as_ref().unwrap(), 0.25), 0.25);
    }

    #[test]
    fn every_other_initializer_leaves_the_bias_at_0() {
        let device = Device::flex();
        let ones = Conv2dConfig::new([2, 3], [1, 1]).with_initializer(Initializer::Ones).init(&device);
        let values = |param: &Param<Tensor<1>>| param.val().into_data().try_into_vec::<f32>().unwrap();
        assert_eq!(ones.weight.val().sum().into_scalar::<f32>(), 6.0);
        assert_eq!(values(ones.bias.as_ref().unwrap()), [0.0; 3]);
        assert_eq!(values(LinearConfig::new(2, 3).init(&device).bias.as_ref().unwrap()), [0.0; 3]);
        assert!(LinearConfig::new(2, 3).with_bias(false).init(&device).bias.is_none());
        let embedding = EmbeddingConfig::new(2, 3).with_initializer(Initializer::Ones).init(&device);
        assert_eq!(embedding.weight.val().sum().into_scalar::<f32>(), 6.0);
    }

    #[test]
    fn a_layer_without_inputs_is_drawn_too() {
        let conv = Conv2dConfig::new([0, 3], [1, 1]).init(&Device::flex());
        assert_eq!(conv.weight.dims(), [3, 0, 1, 1]);
    }

    /// Not on first use, which may come in another order.
    #[test]
    fn parameters_are_drawn_in_the_order_of_the_code() {
        let device = Device::flex();
        let conv = Conv2dConfig::new([2, 3], [2, 2]).init(&device);
        assert!(conv.weight.is_initialized() && conv.bias.unwrap().is_initialized());
        assert!(LinearConfig::new(2, 3).init(&device).weight.is_initialized());
    }
}
