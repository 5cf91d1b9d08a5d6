//! Whether the masks of every dimension reach the loss.

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::pattern::{pattern, patterns};
use super::subject::{Subject, images};
use crate::data::ImageShape;
use crate::models::Architecture;
use crate::nn::draw::seeded;
use crate::panics::attempt;
use crate::report::Reason;
use crate::slim::{Dimension, Mask, MaskSet, MaskSpec};
use crate::train::cross_entropy;

/// Dropout may keep a mask from the loss, but hardly this many times.
const DRAWS: usize = 6;

/// Images of a batch.
const BATCH: usize = 2;

/// Dimensions whose masks get no gradient from the cross entropy of random labels, with random masks on all dimensions.
pub(super) fn check_gradients<A: Architecture>(
    subject: &Subject<A>,
    image: ImageShape,
    rng: &mut ChaCha8Rng,
) -> Vec<Reason> {
    match missing(subject, image, rng) {
        Ok(missing) => told(subject, &missing),
        Err(said) => {
            vec![Reason::new(format!("with soft masks on all dimensions, the training step fails ({said})"))]
        }
    }
}

/// Patterns of the dimensions whose masks get no gradient in a network that is as it was made, not random.
pub(super) fn idle<A: Architecture>(
    subject: &Subject<A>,
    image: ImageShape,
    rng: &mut ChaCha8Rng,
) -> Vec<String> {
    let missing = missing(subject, image, rng).unwrap_or_default().into_iter().filter(Gradient::is_none);
    let mut names = Vec::new();
    for name in missing.map(|gradient| pattern(&gradient.path)) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The gradients that are none or not finite, whatever is drawn.
fn missing<A: Architecture>(
    subject: &Subject<A>,
    image: ImageShape,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Gradient>, String> {
    let mut missing: Vec<Gradient> = Vec::new();
    for draw in 0..DRAWS {
        let found = attempt(|| gradients(subject, image, rng))??;
        let lacks = |gradient: &Gradient| !matches!(gradient.largest, Some(largest) if largest > 0.0 && largest.is_finite());
        let still =
            |gradient: &Gradient| draw == 0 || missing.iter().any(|before| before.path == gradient.path);
        missing = found.into_iter().filter(|gradient| lacks(gradient) && still(gradient)).collect();
        if missing.is_empty() {
            break;
        }
    }
    Ok(missing)
}

/// The gradient of the masks of a dimension.
#[derive(Debug)]
struct Gradient {
    path: String,
    /// The largest absolute value; `None` without a gradient.
    largest: Option<f64>,
}

impl Gradient {
    fn is_none(&self) -> bool {
        self.largest.is_none_or(|largest| largest == 0.0)
    }
}

fn gradients<A: Architecture>(
    subject: &Subject<A>,
    image: ImageShape,
    rng: &mut ChaCha8Rng,
) -> Result<Vec<Gradient>, String> {
    let training = Device::flex().autodiff();
    let searched: Vec<_> =
        subject.dimensions.iter().map(|dimension| (dimension.clone(), MaskSpec::default())).collect();
    let masks = MaskSet::new(&searched, &training).map_values(|_, old| {
        let values: Vec<f64> = (0..old.dims()[0]).map(|_| rng.random_range(0.5..1.5)).collect();
        Tensor::from_data(TensorData::new(values, old.dims()), &training).require_grad()
    });
    let model = subject.model.clone().train();
    let images = images(BATCH, image, rng, &training);
    let seed = rng.next_u64();
    let logits = seeded(seed, &training, || model.gate(&masks).forward(images));
    let classes = logits.class.dims()[1];
    let labels: Vec<i64> = (0..BATCH).map(|_| rng.random_range(0..classes) as i64).collect();
    let labels = Tensor::<1, Int>::from_data(TensorData::new(labels, [BATCH]), &training);
    let gradients = cross_entropy(&logits, &labels, 0.0).backward();
    let gradient = |mask: &Mask| {
        let values = mask.values.val().grad(&gradients);
        let values = values.map(|values| values.into_data().convert::<f64>().try_into_vec::<f64>());
        let values = values.transpose().map_err(|error| format!("{error:?}"))?;
        let largest = values.map(|values| {
            values
                .iter()
                .fold(0.0, |most: f64, value| if value.is_nan() { *value } else { most.max(value.abs()) })
        });
        Ok(Gradient { path: mask.path.clone(), largest })
    };
    masks.iter().map(gradient).collect()
}

fn told<A: Architecture>(subject: &Subject<A>, missing: &[Gradient]) -> Vec<Reason> {
    let mut reasons = Vec::new();
    for (name, members) in patterns(&subject.dimensions) {
        let without: Vec<(&str, &Gradient)> = members
            .iter()
            .filter_map(|&index| {
                let path = &subject.dimensions[index].path;
                missing
                    .iter()
                    .find(|gradient| gradient.path == *path)
                    .map(|gradient| (path.as_str(), gradient))
            })
            .collect();
        let Some((first, gradient)) = without.first() else { continue };
        let which = match (without.len(), members.len()) {
            (1, _) => format!("`{first}`"),
            (some, all) if some == all => format!("`{name}`"),
            (some, all) => format!("`{first}` (and {} more of {all} like it)", some - 1),
        };
        reasons.push(match gradient.largest {
            Some(largest) if !largest.is_finite() => {
                Reason::new(format!("{which}: the gradient of its mask is not finite"))
            }
            _ => never_reaches(&which, &subject.dimensions[members[0]]),
        });
    }
    reasons
}

fn never_reaches(which: &str, dimension: &Dimension) -> Reason {
    let message = format!("{which} never reaches the loss: its mask gets no gradient");
    if dimension.is_tokens() {
        return Reason::new(message).with_help(
            "write `self.tokens.scale(...)` on what the branches of the block read, as in `self.tokens.scale(norm(x))`",
        );
    }
    let gates: Vec<String> = dimension
        .carriers
        .iter()
        .filter(|carrier| carrier.gated)
        .map(|carrier| format!("`{}`", carrier.layer))
        .collect();
    Reason::new(message).with_help(match gates.is_empty() {
        true => "none of its axes is gated: write `gate` after one".to_owned(),
        false => format!(
            "it is gated at {}: does the forward pass use that, and does nothing detach it?",
            gates.join(", ")
        ),
    })
}
