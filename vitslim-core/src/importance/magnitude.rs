//! Units by the size of their weights.

use burn::module::{ModuleVisitor, Param};
use burn::tensor::Tensor;

use super::error::ImportanceError;
use super::gradients::{gradients, scores, with_masks};
use super::units::{Scores, device_of};
use crate::models::Architecture;
use crate::nn::is_running_state;
use crate::slim::{Dimension, MaskSpec, Slim, scaled_everywhere};
use crate::train::computed;

/// The l2 norm of all parameters that go with a unit, in every layer that carries its dimension: the group norm of DepGraph (Fang et al.,
/// CVPR 2023, [arXiv:2301.12900](https://arxiv.org/abs/2301.12900)), `I(k) = sqrt(sum over w of ||w[k]||^2)`.
///
/// With the parameters of unit `k` multiplied by `m[k]`, half of the derivative of the sum of all their squares by `m[k]`, at 1, is just
/// this sum. So whatever can be gated can be measured, however its parameters lie.
pub(super) fn magnitude<A: Architecture>(
    model: &A,
    units: &[(Dimension, MaskSpec)],
) -> Result<Scores, ImportanceError> {
    let device = device_of(model).autodiff();
    let (slim, zero) = (with_masks(model, units), Tensor::zeros([1], &device));
    let found = computed(&device, 1, move || {
        let Slim { model, masks } = slim;
        let mut squares = Squares(zero);
        scaled_everywhere(&model, &masks).visit(&mut squares);
        gradients(&masks, &squares.0)
    })?;
    Ok(scores(units, &found, |derivative| (derivative / 2.0).sqrt()))
}

/// Sum of the squares of all parameters, `[1]`.
struct Squares(Tensor<1>);

impl ModuleVisitor for Squares {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        // Burn does not sum what has no entries.
        if !is_running_state() && !param.dims().contains(&0) {
            self.0 = self.0.clone() + param.val().square().sum();
        }
    }
}
