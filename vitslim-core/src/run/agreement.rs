//! Hard-masked and sliced networks must have the same logits: proved on batches of the run's own data before anything is trained,
//! and measured on each sub-network of a search.

use std::collections::BTreeSet;

use burn::tensor::{Device, Tensor};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::blindness::are_equal;
use super::error::RunError;
use super::prepared::Prepared;
use crate::device::is_cpu;
use crate::models::Architecture;
use crate::nn::Precision;
use crate::panics::attempt;
use crate::slim::{Dimension, Plan, settle};
use crate::train::{BATCH, EvaluateError, THROUGHPUT_BATCH, read};
use crate::values::{positive, randomised, relative_difference};

/// Multiply-adds to spend on a comparison, at most a second. A network for which it would take longer is compared on fewer images.
const MACS: u64 = 30_000_000_000;

/// The same where one budget is compared on as many images as the run ever computes at once: four seconds on two cores of a Xeon with AVX-512.
const MACS_OF_LARGEST: u64 = 600_000_000_000;

/// Images on which a trained network is looked at for the dimension that makes it differ.
const CULPRIT_IMAGES: usize = 2;

/// Largest difference of the logits over the largest logit. Another order of sums makes about 1e-6 in f32. Other devices may round the
/// factors of their products to 11 bits, which makes more of a small difference before the product.
fn bound(device: &Device) -> f64 {
    if is_cpu(device) { 1e-4 } else { 1e-2 }
}

/// Compares hard-masked and sliced networks with random parameters and random masks, on batches as large as those of search,
/// retraining and evaluation, or as there is time for. One budget is enough for the dimensions that it cuts. `dense` has `macs`
/// multiply-adds. Returns notes on what this does not show.
///
/// # Errors
///
/// When they differ, or fail at such a batch.
pub(super) fn prove<A: Architecture>(
    prepared: &Prepared<A>,
    dense: &A,
    macs: u64,
) -> Result<Vec<String>, RunError> {
    let device = Device::flex();
    let cutting = prepared.cutting();
    let masks = cutting.random_masks(&device);
    let images = |size| Ok::<_, EvaluateError>(prepared.first_batch(size, &device)?.images);
    let wanted = sizes(prepared);
    let (sizes, mut largest) = affordable(&wanted, macs);
    let (usual, once) = (sizes.last().copied(), largest);
    let batches = sizes.into_iter().map(images).collect::<Result<Vec<_>, _>>()?;
    let dense = comparable(prepared, dense, &batches)?;
    let (mut cut, mut proved) = (BTreeSet::new(), BTreeSet::new());
    for budget in &prepared.budgets {
        let plan = cutting.random_plan(&dense, &masks, budget)?.dropping();
        let cuts = || cut_by(&plan).map(|index| plan.cuts[index].dimension.clone());
        if cuts().all(|path| proved.contains(&path)) {
            continue;
        }
        cut.extend(cuts());
        let mut shows = false;
        for images in &batches {
            shows |= agree(prepared, &dense, &budget.label, &plan, images)?;
        }
        if shows {
            proved.extend(cuts());
            if let Some(size) = largest.take() {
                agree(prepared, &dense, &budget.label, &plan, &images(size)?)?;
            }
        }
    }
    let most = once.filter(|_| largest.is_none()).or(usual);
    let capped = wanted.last().zip(most).filter(|(wanted, most)| most < *wanted).map(|(wanted, most)| {
        format!(
            "masked and sliced networks are compared on {most} images at once, and not on {wanted} as they are computed later, which \
             would take too long"
        )
    });
    let mut unproved = cut.difference(&proved);
    let unproved = unproved.next().map(|first| {
        let others = match unproved.count() {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!(
            "nothing shows before the search whether `{first}`{others} is cut as it is masked: with random parameters, the logits \
             are the same for every image, not finite, or more than the memory holds"
        )
    });
    Ok(capped.into_iter().chain(unproved).collect())
}

/// How many images the run computes at once, masked or cut.
fn sizes<A: Architecture>(prepared: &Prepared<A>) -> BTreeSet<usize> {
    let stages = [prepared.experiment.search_training(), prepared.experiment.retrain.clone()];
    let parts = stages.into_iter().flatten().map(|stage| stage.batch.get().div_ceil(stage.accumulate.get()));
    let evaluated = prepared.data.held_out.len().max(prepared.data.test.len());
    parts.chain([BATCH.min(evaluated), THROUGHPUT_BATCH]).collect()
}

/// As many of the images in each of `sizes` as there is time for, where a network has `macs` multiply-adds; and of the largest, if that
/// is more, as there is time for once.
fn affordable(sizes: &BTreeSet<usize>, macs: u64) -> (BTreeSet<usize>, Option<usize>) {
    let most = |spent: u64| usize::try_from(spent / (2 * macs).max(1)).unwrap_or(usize::MAX).max(2);
    let always: BTreeSet<usize> = sizes.iter().map(|size| *size.min(&most(MACS))).collect();
    let once = sizes.last().map(|size| *size.min(&most(MACS_OF_LARGEST)));
    let once = once.filter(|size| !always.contains(size));
    (always, once)
}

/// `dense` with random parameters. Where they have no logarithm or the like, with positive ones, or as it is.
fn comparable<A: Architecture>(
    prepared: &Prepared<A>,
    dense: &A,
    batches: &[Tensor<4>],
) -> Result<A, RunError> {
    let mut rng = ChaCha8Rng::seed_from_u64(prepared.experiment.seed);
    let random = randomised(dense.valid(), &mut rng);
    let Some(images) = batches.first() else { return Ok(random) };
    for drawn in [random.clone(), positive(random)] {
        if finite_logits(&drawn, images)?.is_some() {
            return Ok(drawn);
        }
    }
    Ok(dense.valid())
}

/// Checks that what `plan` masks and what it slices of `dense` agree on `images`. Whether that shows anything: not if the logits are
/// the same for every image, or not finite.
fn agree<A: Architecture>(
    prepared: &Prepared<A>,
    dense: &A,
    label: &str,
    plan: &Plan,
    images: &Tensor<4>,
) -> Result<bool, RunError> {
    let device = images.device();
    let both = |plan: &Plan, images: &Tensor<4>| -> Result<_, RunError> {
        let masked = finite_logits(&dense.hard_mask(plan)?, images)?;
        Ok(masked.zip(logits(&dense.slim(plan)?, images)?))
    };
    let compare = |plan: &Plan, images: &Tensor<4>| {
        Ok(both(plan, images)?.map_or(0.0, |(masked, sliced)| relative_difference(&masked, &sliced)))
    };
    let Some((masked, sliced)) = both(plan, images)? else { return Ok(false) };
    let difference = relative_difference(&masked, &sliced);
    if difference <= bound(&device) {
        return Ok(!are_equal(&sliced, prepared.data.classes));
    }
    let one = images.clone().narrow(0, 0, 1);
    let of_batch = images.dims()[0] > 1 && compare(plan, &one)? <= bound(&device);
    let help = match of_batch {
        true => {
            "on one image they agree: in a batch, the forward pass does something else, but it must treat each image alone"
        }
        false => "`vitslim check` with this experiment says which annotation is missing",
    };
    Err(RunError::Differs {
        label: label.to_owned(),
        images: images.dims()[0],
        difference,
        culprit: culprit(&prepared.dimensions, plan, &device, |plan| compare(plan, &one)),
        help: help.to_owned(),
    })
}

/// The logits of `model` for each of `images`; `None` where one is not finite, or the device has too little memory: the stage that
/// needs so much says what to do.
fn finite_logits<A: Architecture>(model: &A, images: &Tensor<4>) -> Result<Option<Vec<f64>>, RunError> {
    Ok(logits(model, images)?.filter(|logits| logits.iter().all(|value| value.is_finite())))
}

fn logits<A: Architecture>(model: &A, images: &Tensor<4>) -> Result<Option<Vec<f64>>, RunError> {
    let failed = |said: String| RunError::Batch { images: images.dims()[0], said };
    match attempt(|| read(model, images.clone(), Precision::F32)).map_err(failed)? {
        Ok(logits) => Ok(logits.convert::<f64>().try_into_vec().ok()),
        Err(EvaluateError::OutOfMemory(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Checks the `difference` that was measured on `images` images, between what `plan` masks and what it slices of a trained network.
/// `compare` measures it for other plans and numbers of images.
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
    compare: impl Fn(&Plan, usize) -> Result<f64, RunError>,
) -> Result<(), RunError> {
    if difference <= bound(device) {
        return Ok(());
    }
    Err(RunError::Differs {
        label: label.to_owned(),
        images,
        difference,
        culprit: culprit(dimensions, plan, device, |plan| compare(plan, CULPRIT_IMAGES)),
        help: "the annotations of the architecture are wrong, or its forward pass does not treat each image alone: `vitslim check` \
               with this experiment looks for the first"
            .to_owned(),
    })
}

/// Names the first dimension that makes the networks differ when it alone is cut as in `plan`, as the end of a message. If `compare`
/// sees no difference with all of them cut, none is to blame.
fn culprit(
    dimensions: &[Dimension],
    plan: &Plan,
    device: &Device,
    compare: impl Fn(&Plan) -> Result<f64, RunError>,
) -> String {
    let differs = |plan: &Plan| compare(plan).is_ok_and(|found| found > bound(device));
    let differs_alone = |index: &usize| {
        let mut alone = Plan { norm: plan.norm, ..Plan::whole(dimensions) };
        let cut = &plan.cuts[*index];
        alone.get_mut(&cut.dimension).into_iter().for_each(|alone| alone.clone_from(cut));
        settle(&mut alone, dimensions);
        differs(&alone)
    };
    match Some(plan).filter(|plan| differs(plan)).and_then(|plan| cut_by(plan).find(differs_alone)) {
        Some(index) => format!("; with only `{}` cut they differ too", plan.cuts[index].dimension),
        None => String::new(),
    }
}

/// The dimensions that lose units by `plan`.
fn cut_by(plan: &Plan) -> impl Iterator<Item = usize> {
    (0..plan.cuts.len()).filter(|index| plan.cuts[*index].keep.len() < plan.cuts[*index].units())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::models::{Vit, VitConfig};
    use crate::slim::describe;

    #[test]
    fn a_large_network_is_compared_on_the_largest_batch_once() {
        let sizes = BTreeSet::from([8, 64, 128]);
        let affordable = |macs| {
            let (always, once) = affordable(&sizes, macs);
            (Vec::from_iter(always), once)
        };
        assert_eq!(affordable(1_000_000), (vec![8, 64, 128], None));
        // As in DeiT-Tiny and DeiT-Base.
        assert_eq!(affordable(1_258_000_000), (vec![8, 11], Some(128)));
        assert_eq!(affordable(17_560_000_000), (vec![2], Some(17)));
        assert_eq!(affordable(u64::MAX / 2), (vec![2], None));
    }

    #[test]
    fn a_culprit_is_looked_for_on_two_images_and_only_where_they_differ() {
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 2, ..VitConfig::default() };
        let dimensions = describe(&Vit::init(&config, &Device::flex()).unwrap()).unwrap();
        let mut plan = Plan::whole(&dimensions);
        plan.cuts.iter_mut().for_each(|cut| cut.keep.truncate(1));
        let told = |of_two: f64| {
            let asked = RefCell::new(Vec::new());
            let compare = |_: &Plan, images: usize| {
                asked.borrow_mut().push(images);
                Ok(of_two)
            };
            let error =
                check_measured("a", &dimensions, &plan, (1.0, 256), &Device::flex(), compare).unwrap_err();
            (error.to_string(), asked.into_inner())
        };
        let (error, asked) = told(0.0);
        assert!(error.ends_with("their logits differ by 1e0 of the largest"), "{error}");
        assert_eq!(asked, [2]);
        let (error, asked) = told(1.0);
        assert!(error.ends_with("cut they differ too"), "{error}");
        assert_eq!(asked, [2, 2]);
    }
}
