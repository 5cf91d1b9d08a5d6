//! Units by what the loss does without them, to first order.

use burn::tensor::Tensor;

use super::error::ImportanceError;
use super::gradients::{gradients, scores, with_masks};
use super::steps::Steps;
use super::units::{Scores, device_of};
use crate::data::Batch;
use crate::models::Architecture;
use crate::nn::draw::seeded;
use crate::nn::{checkpointing, evaluating};
use crate::slim::{Dimension, MaskSpec};
use crate::train::{computed, cross_entropy};

/// How much the loss changes when the mask of a unit goes from 1 to 0, to first order: `|m dL/dm|` at 1, with the cross entropy of the
/// labels as loss and the network as in evaluation. This is the gate of Molchanov et al. (CVPR 2019,
/// [arXiv:1906.10771](https://arxiv.org/abs/1906.10771)), who square it; the absolute value is that of their earlier criterion (ICLR 2017,
/// [arXiv:1611.06440](https://arxiv.org/abs/1611.06440)). It is that of a batch, whose loss is the mean over its images, in whatever parts
/// that is computed; the score is the mean over the batches.
pub(super) fn taylor<A: Architecture, E: From<ImportanceError>>(
    model: &A,
    units: &[(Dimension, MaskSpec)],
    batches: impl Iterator<Item = Result<Batch, E>>,
    Steps { parts, checkpointed, precision }: Steps,
) -> Result<Scores, E> {
    let device = device_of(model).autodiff();
    let slim = with_masks(model, units);
    let zero = || -> Scores { units.iter().map(|(dimension, _)| vec![0.0; dimension.units()]).collect() };
    let (mut sums, mut count) = (zero(), 0.0);
    for batch in batches {
        let (batch, mut of_batch) = (batch?, zero());
        let images = batch.len() as f64;
        for part in batch.parts(parts) {
            let (slim, training, count) = (slim.clone(), device.clone(), part.len());
            let found = computed(&device, count, move || {
                let Batch { images, labels, seed, .. } = part;
                let forward = || slim.gated().forward(Tensor::from_inner(images));
                // The backward pass may compute blocks again.
                evaluating(|| {
                    let forward = || precision.within(|| seeded(seed, &training, forward));
                    let logits = checkpointing(checkpointed, forward);
                    gradients(&slim.masks, &cross_entropy(&logits, &Tensor::from_inner(labels), 0.0))
                })
            });
            let found = found.map_err(ImportanceError::scoring)?;
            // The loss is a mean, so each part counts by its images.
            let share = count as f64 / images;
            add(&mut of_batch, scores(units, &found, |gradient| gradient * share));
        }
        of_batch.iter_mut().flatten().for_each(|gradient| *gradient = gradient.abs());
        add(&mut sums, of_batch);
        count += 1.0;
    }
    sums.iter_mut().flatten().for_each(|sum| *sum /= count);
    Ok(sums)
}

fn add(sums: &mut Scores, others: Scores) {
    let others = others.into_iter().flatten();
    sums.iter_mut().flatten().zip(others).for_each(|(sum, other)| *sum += other);
}
