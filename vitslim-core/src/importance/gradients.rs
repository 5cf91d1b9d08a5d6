//! Gradients of masks of 1 on all units of a network.

use burn::tensor::{ExecutionError, Tensor, TensorData};

use super::units::{Scores, device_of};
use crate::models::Architecture;
use crate::slim::{Dimension, MaskSet, MaskSpec, Slim};

/// `model` on the autodiff device, with constant weights and masks on `units`.
pub(super) fn with_masks<A: Architecture>(model: &A, units: &[(Dimension, MaskSpec)]) -> Slim<A> {
    let masks = MaskSet::new(units, &device_of(model).autodiff());
    Slim { model: model.clone().train().no_grad(), masks }
}

/// The gradients of the values of `masks` with regard to `scalar`, `[1]`; `None` for those that it does not depend on.
pub(super) fn gradients(
    masks: &MaskSet,
    scalar: &Tensor<1>,
) -> Result<Vec<Option<TensorData>>, ExecutionError> {
    let gradients = scalar.backward();
    let of_mask = |values: Tensor<1>| values.grad(&gradients).map(Tensor::try_into_data).transpose();
    masks.iter().map(|mask| of_mask(mask.values.val())).collect()
}

/// `score` of each gradient; what has no gradient has one of 0.
pub(super) fn scores(
    units: &[(Dimension, MaskSpec)],
    gradients: &[Option<TensorData>],
    score: impl Fn(f64) -> f64,
) -> Scores {
    let of_dimension = |((dimension, _), gradient): (&(Dimension, MaskSpec), &Option<TensorData>)| {
        let gradient = gradient.as_ref().map(|gradient| gradient.iter::<f64>().collect());
        let gradient: Vec<f64> = gradient.unwrap_or_else(|| vec![0.0; dimension.units()]);
        gradient.into_iter().map(&score).collect()
    };
    units.iter().zip(gradients).map(of_dimension).collect()
}
