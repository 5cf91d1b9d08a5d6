//! Units by what the loss does without them, to first order.

use burn::tensor::Tensor;

use super::error::ImportanceError;
use super::gradients::{gradients, scores, with_masks};
use super::units::{Scores, device_of};
use crate::data::Batch;
use crate::models::Architecture;
use crate::nn::draw::seeded;
use crate::nn::{Precision, evaluating};
use crate::slim::{Dimension, MaskSpec};
use crate::train::{EvaluateError, computed, cross_entropy};

/// How much the loss changes when the mask of a unit goes from 1 to 0, to first order: `|m dL/dm|` at 1, with the cross entropy of the
/// labels as loss and the network as in evaluation. This is the gate of Molchanov et al. (CVPR 2019,
/// [arXiv:1906.10771](https://arxiv.org/abs/1906.10771)). The absolute value is that of a batch, whose loss is the mean over its images;
/// the score is the mean over the batches.
pub(super) fn taylor<A: Architecture, E: From<ImportanceError>>(
    model: &A,
    units: &[(Dimension, MaskSpec)],
    batches: impl Iterator<Item = Result<Batch, E>>,
    precision: Precision,
) -> Result<Scores, E> {
    let device = device_of(model).autodiff();
    let slim = with_masks(model, units);
    let mut sums: Scores = units.iter().map(|(dimension, _)| vec![0.0; dimension.units()]).collect();
    let mut count = 0.0;
    for batch in batches {
        let (slim, batch) = (slim.clone(), batch?);
        let images = batch.len();
        let training = device.clone();
        let found = computed(&device, images, move || {
            let Batch { images, labels, seed, .. } = batch;
            let forward = || slim.gated().forward(Tensor::from_inner(images));
            let logits = evaluating(|| precision.within(|| seeded(seed, &training, forward)));
            gradients(&slim.masks, &cross_entropy(&logits, &Tensor::from_inner(labels), 0.0))
        });
        let found = found.map_err(|error: EvaluateError| ImportanceError::from(error))?;
        for (sums, scores) in sums.iter_mut().zip(scores(units, &found, f64::abs)) {
            sums.iter_mut().zip(scores).for_each(|(sum, score)| *sum += score);
        }
        count += 1.0;
    }
    sums.iter_mut().flatten().for_each(|sum| *sum /= count);
    Ok(sums)
}
