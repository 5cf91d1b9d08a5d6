//! Hard-masked and sliced networks must have the same logits: proved on batches of the run's own data before anything is trained,
//! and measured on each sub-network of a search.

use std::collections::{BTreeSet, HashSet};

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::error::RunError;
use super::prepare::Prepared;
use crate::device::is_cpu;
use crate::models::Architecture;
use crate::nn::Precision;
use crate::panics::attempt;
use crate::slim::{Dimension, Plan, drop_cut_tokens};
use crate::train::{BATCH, EvaluateError, read};
use crate::values::{randomised, relative_difference};

/// Multiply-adds to spend on a comparison, at most a second. A network for which it would take longer is compared on fewer images.
const MACS: u64 = 30_000_000_000;

/// Largest difference of the logits over the largest logit. Another order of sums makes about 1e-6 in f32. Other devices may round the
/// factors of their products to 11 bits, which makes more of a small difference before the product.
fn bound(device: &Device) -> f64 {
    if is_cpu(device) { 1e-4 } else { 1e-2 }
}

/// Compares hard-masked and sliced networks with random parameters and random masks, on batches as large as those of search,
/// retraining and evaluation, or as [`MACS`] allows: then it returns a note that says so. One budget is enough for the dimensions that
/// it cuts. `dense` has `macs` multiply-adds.
///
/// # Errors
///
/// When they differ, or fail at such a batch.
pub(super) fn prove<A: Architecture>(
    prepared: &Prepared<A>,
    dense: &A,
    macs: u64,
) -> Result<Option<String>, RunError> {
    let device = Device::flex();
    let cutting = prepared.cutting();
    let masks = cutting.random_masks(&device);
    let mut rng = ChaCha8Rng::seed_from_u64(prepared.experiment.seed);
    let dense = randomised(dense.valid(), &mut rng);
    let (batches, note) = batches(prepared, macs, &device)?;
    let mut proved = HashSet::new();
    for budget in &prepared.budgets {
        let cut = budget.rankings.iter().filter(|ranking| ranking.share < 1.0);
        let new = cut.flat_map(|ranking| &ranking.dimensions).filter(|path| proved.insert(path.as_str()));
        if new.count() == 0 {
            continue;
        }
        let plan = cutting.random_plan(&masks, budget)?;
        for images in &batches {
            let compare = |plan: &Plan| difference(&dense, plan, images);
            let found = compare(&plan)?;
            if found <= bound(&device) {
                continue;
            }
            let one = images.clone().narrow(0, 0, 1);
            let of_batch = images.dims()[0] > 1 && difference(&dense, &plan, &one)? <= bound(&device);
            let help = match of_batch {
                true => {
                    "on one image they agree: the forward pass does something else for a whole batch, but it must treat each image \
                     alone"
                }
                false => "`vitslim check` with this experiment says which annotation is missing",
            };
            return Err(RunError::Differs {
                label: budget.label.clone(),
                images: images.dims()[0],
                difference: found,
                culprit: culprit(&prepared.dimensions, &plan, &device, compare),
                help: help.to_owned(),
            });
        }
    }
    Ok(note)
}

/// Images of the training split, in each number that the run computes at once; and what to say if that is too many.
fn batches<A: Architecture>(
    prepared: &Prepared<A>,
    macs: u64,
    device: &Device,
) -> Result<(Vec<Tensor<4>>, Option<String>), RunError> {
    let search = &prepared.experiment.search;
    let stages = [Some((search.batch, search.accumulate))].into_iter();
    let stages =
        stages.chain([prepared.experiment.retrain.as_ref().map(|stage| (stage.batch, stage.accumulate))]);
    let parts = stages.flatten().map(|(batch, parts)| batch.get().div_ceil(parts.get()));
    let most = usize::try_from(MACS / (2 * macs).max(1)).unwrap_or(usize::MAX).max(2);
    let sizes: BTreeSet<usize> = parts.chain([BATCH.min(prepared.data.held_out.len())]).collect();
    let note = sizes.last().filter(|largest| **largest > most).map(|largest| {
        format!(
            "masked and sliced networks are compared on {most} images at once, and not on {largest} as they are computed later, which \
             would take too long"
        )
    });
    let sizes: BTreeSet<usize> = sizes.into_iter().map(|size| size.min(most)).collect();
    let batch = |size| Ok(prepared.first_batch(size, device).map_err(EvaluateError::from)?.images);
    Ok((sizes.into_iter().map(batch).collect::<Result<_, RunError>>()?, note))
}

/// How far what `plan` masks and what it slices of `dense` are apart, over the largest logit.
fn difference<A: Architecture>(dense: &A, plan: &Plan, images: &Tensor<4>) -> Result<f64, RunError> {
    let logits = |model: A| -> Result<Option<Vec<f64>>, RunError> {
        let failed = |said: String| RunError::Batch { images: images.dims()[0], said };
        match attempt(|| read(&model, images.clone(), Precision::F32)).map_err(failed)? {
            Ok(logits) => Ok(logits.convert::<f64>().try_into_vec().ok()),
            // The stage that needs so much memory says what to do.
            Err(EvaluateError::OutOfMemory(_)) => Ok(None),
            Err(error) => Err(error.into()),
        }
    };
    let masked =
        logits(dense.hard_mask(plan)?)?.filter(|masked| masked.iter().all(|value| value.is_finite()));
    match (masked, logits(dense.slim(plan)?)?) {
        (Some(masked), Some(sliced)) => Ok(relative_difference(&masked, &sliced)),
        // Random parameters may overflow, which says nothing.
        _ => Ok(0.0),
    }
}

/// Checks the `difference` that was measured on `images` images, between what `plan` masks and what it slices of a trained network.
/// `compare` measures it for other plans.
///
/// # Errors
///
/// When it is more than `device` explains.
pub(super) fn check_measured(
    label: &str,
    dimensions: &[Dimension],
    plan: &Plan,
    (difference, images): (f64, usize),
    device: &Device,
    compare: impl Fn(&Plan) -> Result<f64, RunError>,
) -> Result<(), RunError> {
    if difference <= bound(device) {
        return Ok(());
    }
    Err(RunError::Differs {
        label: label.to_owned(),
        images,
        difference,
        culprit: culprit(dimensions, plan, device, compare),
        help: "the annotations of the architecture are wrong, or its forward pass does not treat each image alone: `vitslim check` \
               with this experiment looks for the first"
            .to_owned(),
    })
}

/// Names the first dimension that makes the networks differ when it alone is cut as in `plan`, as the end of a message.
fn culprit(
    dimensions: &[Dimension],
    plan: &Plan,
    device: &Device,
    compare: impl Fn(&Plan) -> Result<f64, RunError>,
) -> String {
    let cut = |index: &usize| plan.cuts[*index].keep.len() < plan.cuts[*index].units();
    let differs = |index: &usize| {
        let mut alone = Plan::whole(dimensions);
        alone.cuts[*index] = plan.cuts[*index].clone();
        drop_cut_tokens(&mut alone, dimensions);
        compare(&alone).is_ok_and(|found| found > bound(device))
    };
    match (0..plan.cuts.len()).filter(cut).find(differs) {
        Some(index) => format!("; with only `{}` cut they differ too", plan.cuts[index].dimension),
        None => String::new(),
    }
}
