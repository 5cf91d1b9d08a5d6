//! Scores of units, and the masks that they make.

use burn::tensor::{Device, Tensor, TensorData};

use crate::models::Architecture;
use crate::slim::{Dimension, Mask, MaskSet, MaskSpec};

/// Scores of the units of each searched dimension, in the order of the traversal.
pub(super) type Scores = Vec<Vec<f64>>;

/// The searched dimensions with a mask of 1 for each unit.
pub(super) fn of_units(searched: &[(Dimension, MaskSpec)]) -> Vec<(Dimension, MaskSpec)> {
    searched.iter().map(|(dimension, _)| (dimension.clone(), MaskSpec::default())).collect()
}

/// The masks of the `searched` dimensions: the value of each is the sum of the `scores` of its units.
pub(super) fn summed(searched: &[(Dimension, MaskSpec)], scores: &Scores, device: &Device) -> MaskSet {
    let masks = MaskSet::new(searched, device);
    let sums: Vec<Vec<f64>> = masks.iter().zip(scores).map(|(mask, scores)| of_masks(mask, scores)).collect();
    let mut sums = sums.into_iter();
    masks.map_values(|_, old| match sums.next() {
        Some(sums) => Tensor::from_data(TensorData::new(sums, old.dims()), device),
        None => old,
    })
}

fn of_masks(mask: &Mask, scores: &[f64]) -> Vec<f64> {
    let mut sums = vec![0.0; mask.count()];
    mask.mask_of_unit().into_iter().zip(scores).for_each(|(mask, score)| sums[mask] += score);
    sums
}

/// The device of `model`.
pub(super) fn device_of<A: Architecture>(model: &A) -> Device {
    model.devices().into_iter().next().unwrap_or_default()
}
