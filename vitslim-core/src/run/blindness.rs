//! Networks that let no image through: a layer of them is left without units, and what comes after it is the same for every image.

use burn::tensor::Device;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::data::{ImageShape, Split};
use crate::models::Architecture;
use crate::nn::Precision;
use crate::panics::attempt;
use crate::slim::{Dimension, Plan, settle};
use crate::train::{BATCH, EvaluateError, read};
use crate::values::{random, randomised, relative_difference};

/// Images that are compared.
const IMAGES: usize = 4;

/// Random parameters that are tried: those of a narrow network may well let nothing through once, a rectifier that is off.
const DRAWS: usize = 8;

/// The largest difference between the logits of two images, over the largest logit, that counts as none.
const NONE: f64 = 1e-5;

/// Whether `model` has the same logits for all images, whatever its parameters. A network whose forward pass fails has not.
fn is_blind<A: Architecture>(model: &A, image: ImageShape) -> bool {
    let mut rng = ChaCha8Rng::seed_from_u64(0);
    let model = model.valid();
    let device = model.devices().into_iter().next().unwrap_or_default();
    (0..DRAWS).all(|_| {
        let drawn = randomised(model.clone(), &mut rng);
        let images = random([IMAGES, image.channels, image.size, image.size], &mut rng, &device);
        let Ok(Ok(logits)) = attempt(|| read(&drawn, images, Precision::F32)) else { return false };
        let Some(&classes) = logits.shape().last() else { return false };
        let Ok(logits) = logits.convert::<f64>().try_into_vec::<f64>() else { return false };
        are_equal(&logits, classes)
    })
}

/// Whether `logits`, `[batch, classes]`, are the same for all images.
pub(super) fn are_equal(logits: &[f64], classes: usize) -> bool {
    let mut images = logits.chunks(classes.max(1));
    let Some(first) = images.next() else { return true };
    images.all(|image| relative_difference(first, image) <= NONE)
}

/// Whether `model`, with the parameters that it has, gives the same logits for images from all over `split`. Not if none of these can
/// be read.
///
/// # Errors
///
/// When an image cannot be read, or the device fails.
pub(super) fn is_blind_to<A: Architecture>(
    model: &A,
    split: &Split,
    device: &Device,
) -> Result<bool, EvaluateError> {
    let count = BATCH.min(split.len());
    let indices: Vec<usize> = (0..count).map(|index| index * split.len() / count).collect();
    let Some(images) = split.images(&indices, device)? else { return Ok(false) };
    let logits = read(model, images, Precision::F32)?;
    let classes = logits.shape().last().copied().unwrap_or_default();
    Ok(logits.convert::<f64>().try_into_vec().is_ok_and(|logits: Vec<f64>| are_equal(&logits, classes)))
}

/// Whether `model` lets no image through without the units of the dimension at `path`.
pub(super) fn is_blind_without<A: Architecture>(
    model: &A,
    dimensions: &[Dimension],
    path: &str,
    image: ImageShape,
) -> bool {
    let mut plan = Plan::whole(dimensions);
    let Some(cut) = plan.get_mut(path) else { return false };
    cut.keep.clear();
    settle(&mut plan, dimensions);
    is_blind_after(model, &plan, image)
}

/// Whether what `plan` leaves of `model` lets no image through.
pub(super) fn is_blind_after<A: Architecture>(model: &A, plan: &Plan, image: ImageShape) -> bool {
    // Some layers cannot be cut like that.
    attempt(|| model.slim(plan)).is_ok_and(|sliced| sliced.is_ok_and(|sliced| is_blind(&sliced, image)))
}

/// Why what `plan` leaves of `model` lets no image through; `None` if it does let images through.
pub(super) fn blinding<A: Architecture>(
    model: &A,
    dimensions: &[Dimension],
    plan: &Plan,
    image: ImageShape,
) -> Option<String> {
    let sliced = attempt(|| model.slim(plan)).ok()?.ok()?;
    if !is_blind(&sliced, image) {
        return None;
    }
    let paths =
        dimensions.iter().filter(|dimension| dimension.units() > 0).map(|dimension| dimension.path.as_str());
    let empty: Vec<&str> =
        paths.filter(|path| plan.get(path).is_some_and(|cut| cut.keep.is_empty())).collect();
    let alone: Vec<&str> =
        empty.iter().copied().filter(|path| is_blind_without(model, dimensions, path, image)).collect();
    let gone = if alone.is_empty() { empty } else { alone };
    let names: Vec<String> = gone.iter().map(|path| format!("`{path}`")).collect();
    Some(match names.is_empty() {
        true => "its logits are the same for every image".to_owned(),
        false => format!("nothing is left of {}", names.join(" and ")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::{Swin, SwinConfig, Vit, VitConfig};
    use crate::slim::describe;

    #[test]
    fn a_stage_without_width_lets_nothing_through_and_a_branch_without_units_everything() {
        let (depths, heads) = (vec![1, 1], vec![1, 2]);
        let config = SwinConfig {
            image_size: 8,
            patch_size: 2,
            channels: 1,
            classes: 3,
            dim: 4,
            depths,
            heads,
            window: 2,
            ..SwinConfig::default()
        };
        let model = Swin::init(&config, &Device::flex()).unwrap();
        let dimensions = describe(&model).unwrap();
        let image = ImageShape { channels: 1, size: 8 };
        let told = |paths: &[&str]| {
            let mut plan = Plan::whole(&dimensions);
            paths.iter().for_each(|path| plan.get_mut(path).unwrap().keep.clear());
            blinding(&model, &dimensions, &plan, image)
        };
        assert_eq!(told(&[]), None);
        let branches = [
            "layers.0.blocks.0.mlp.hidden",
            "layers.0.blocks.0.attn.head_dim",
            "layers.1.blocks.0.mlp.hidden",
        ];
        assert_eq!(told(&branches), None);
        let stage = [&branches[..], &["layers.1.width"]].concat();
        assert_eq!(told(&stage).as_deref(), Some("nothing is left of `layers.1.width`"));
        // One unit is enough.
        let mut plan = Plan::whole(&dimensions);
        plan.cuts.iter_mut().for_each(|cut| cut.keep.truncate(1));
        assert_eq!(blinding(&model, &dimensions, &plan, image), None);
    }
    #[test]
    fn a_class_token_must_see_patches_once() {
        let config = VitConfig {
            image_size: 8,
            patch_size: 4,
            channels: 1,
            dim: 6,
            heads: 2,
            depth: 2,
            classes: 3,
            ..VitConfig::default()
        };
        let model = Vit::init(&config, &Device::flex()).unwrap();
        let dimensions = describe(&model).unwrap();
        let told = |gate: &str| {
            let mut plan = Plan::whole(&dimensions);
            plan.get_mut(gate).unwrap().keep.clear();
            settle(&mut plan, &dimensions);
            blinding(&model, &dimensions, &plan, ImageShape { channels: 1, size: 8 })
        };
        assert_eq!(told("blocks.0.tokens").as_deref(), Some("nothing is left of `blocks.0.tokens`"));
        assert_eq!(told("blocks.1.tokens"), None);
    }
}
