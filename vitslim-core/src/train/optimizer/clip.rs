//! Gradient clipping.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;

/// Scales the `gradients` of `module` so that their norm is at most `largest`: one norm over all parameters, with the formula of
/// PyTorch's `clip_grad_norm_`.
pub(in crate::train) fn clip<M: Module>(module: &M, gradients: &mut GradientsParams, largest: f64) {
    let mut squares = Squares { gradients, sum: None };
    module.visit(&mut squares);
    let Some(sum) = squares.sum else { return };
    let factor = (sum.sqrt() + 1e-6).recip().mul_scalar(largest).clamp_max(1.0);
    module.visit(&mut Scale { gradients, factor });
}

/// Sum of the squares of all gradients, `[1]`.
struct Squares<'a> {
    gradients: &'a GradientsParams,
    sum: Option<Tensor<1>>,
}

impl ModuleVisitor for Squares<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.get::<D>(param.id) {
            let squares = gradient.square().sum();
            self.sum = Some(match self.sum.take() {
                Some(sum) => sum + squares,
                None => squares,
            });
        }
    }
}

struct Scale<'a> {
    gradients: &'a mut GradientsParams,
    factor: Tensor<1>,
}

impl ModuleVisitor for Scale<'_> {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(gradient) = self.gradients.remove::<D>(param.id) {
            self.gradients.register(param.id, gradient * self.factor.clone().unsqueeze());
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::{Linear, LinearConfig};
    use burn::tensor::{Device, Tolerance};

    use super::*;

    fn gradients(layer: &Linear) -> GradientsParams {
        let mut gradients = GradientsParams::new();
        let device = Device::flex();
        gradients.register(layer.weight.id, Tensor::<2>::from_floats([[3.0], [0.0]], &device));
        if let Some(bias) = &layer.bias {
            gradients.register(bias.id, Tensor::<1>::from_floats([4.0], &device));
        }
        gradients
    }

    #[test]
    fn the_norm_is_one_over_all_parameters() {
        let layer = LinearConfig::new(2, 1).init(&Device::flex());
        for (largest, factor) in [(10.0, 1.0), (5.1, 1.0), (2.5, 0.5), (0.5, 0.1)] {
            let mut clipped = gradients(&layer);
            clip(&layer, &mut clipped, largest);
            let weight = clipped.get::<2>(layer.weight.id).unwrap();
            let bias = clipped.get::<1>(layer.bias.as_ref().unwrap().id).unwrap();
            let tolerance = Tolerance::<f32>::absolute(1e-5);
            weight.into_data().assert_approx_eq(&[[3.0 * factor], [0.0]].into(), tolerance);
            bias.into_data().assert_approx_eq(&[4.0 * factor].into(), tolerance);
        }
    }
}
