//! The learning rates of a stage, step by step.

use burn::module::ParamGroup;
use burn::optim::lr_scheduler::LrSchedulerConfig;
use burn::optim::lr_scheduler::composed::ComposedLrSchedulerConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLrScheduler, ModuleLrSchedulerConfig};
use burn::optim::lr_scheduler::sequential::SequentialLrSchedulerConfig;

use super::layer_decay::layer_rates;
use crate::data::ImageShape;
use crate::experiment::{Masks, Schedule, Training};
use crate::models::Architecture;
use crate::slim::Slim;
use crate::train::TrainError;

/// The learning rates of a stage that trains `slim` on images like `image` in epochs of `steps` steps.
///
/// # Errors
///
/// When burn refuses the learning rates, or the layers that `layer_decay` is about cannot be told.
pub(in crate::train) fn schedule<M: Architecture>(
    training: &Training,
    masks: &Masks,
    steps: usize,
    slim: &Slim<M>,
    image: ImageShape,
) -> Result<ModuleLrScheduler, TrainError> {
    let lr = training.lr();
    let rates = |scale: f64, lr: f64| rates(&training.schedule, scale, lr, training.epochs.get(), steps);
    let mut config = ModuleLrSchedulerConfig::new(rates(1.0, lr));
    if let Some(decay) = training.layer_decay {
        for (scale, layer) in layer_rates(&slim.model, image, decay.get())? {
            let ids = layer.into_iter().map(|parameter| parameter.id).collect();
            config = config.with_group(ParamGroup::from_ids(ids), rates(scale, lr));
        }
    }
    let of_masks = masks.lr.map_or(lr, |lr| training.scaled(lr));
    let masks = ParamGroup::ids_from_module(slim.masks.clone());
    config.with_group(masks, rates(1.0, of_masks)).init().map_err(TrainError::LearningRate)
}

/// The learning rates of `schedule`, all multiplied by `scale`.
fn rates(schedule: &Schedule, scale: f64, lr: f64, epochs: usize, steps: usize) -> LrSchedulerConfig {
    if scale * lr <= 1.0 {
        return at_most_1(schedule, scale, lr, epochs, steps);
    }
    // Burn's schedules end at 1. A power of two rounds nothing.
    let unit = ((scale * lr).log2().floor() + 1.0).exp2();
    let rates = at_most_1(schedule, scale / unit, lr, epochs, steps);
    let product =
        ComposedLrSchedulerConfig::new().with_schedulers(vec![rates, LrSchedulerConfig::Constant(unit)]);
    LrSchedulerConfig::Composed(product)
}

/// The same, where none is greater than 1.
fn at_most_1(schedule: &Schedule, scale: f64, lr: f64, epochs: usize, steps: usize) -> LrSchedulerConfig {
    let lr = scale * lr;
    let warmup = schedule.warmup(epochs, steps);
    let after = match *schedule {
        Schedule::Constant { .. } => LrSchedulerConfig::Constant(lr),
        Schedule::Cosine { final_lr, .. } => {
            let steps = (epochs * steps).saturating_sub(warmup).max(1);
            let cosine = CosineAnnealingLrSchedulerConfig::new(lr, steps);
            LrSchedulerConfig::Cosine(cosine.with_min_lr((scale * final_lr.get()).min(lr)))
        }
    };
    if warmup == 0 {
        return after;
    }
    let rise = match schedule.warmup_lr() {
        // The full rate follows the rise, as in timm.
        Some(first) => LinearLrSchedulerConfig::new((scale * first).min(lr), lr, warmup),
        // From the rate of one step of warm-up to the full rate.
        None => LinearLrSchedulerConfig::new(lr / warmup as f64, lr, warmup.saturating_sub(1).max(1)),
    };
    let rise = LrSchedulerConfig::Linear(rise);
    LrSchedulerConfig::Sequential(SequentialLrSchedulerConfig::new(vec![rise, after], vec![warmup]))
}

#[cfg(test)]
mod tests {
    use super::super::tests::{parameters, vit};
    use super::*;
    use crate::train::fixture::search;

    const IMAGE: ImageShape = ImageShape { channels: 3, size: 8 };

    fn learning_rates(settings: &str, epochs: usize) -> Vec<f64> {
        let search = search(epochs, &format!("masks: (lr: 0.2), {settings},"));
        let mut schedule = schedule(&search.training(), &search.masks, 2, &vit(), IMAGE).unwrap();
        (0..2 * epochs).map(|_| schedule.step().base()).collect()
    }

    #[test]
    fn masks_have_their_own_learning_rate() {
        let search = search(1, "masks: (lr: 0.2),");
        let slim = vit();
        let rates = schedule(&search.training(), &search.masks, 1, &slim, IMAGE).unwrap().step();
        let (mut masks, mut weights) = (0, 0);
        for (path, id, _) in parameters(&slim) {
            let rate = rates.lr_from_param(id, Some(&path));
            match path.contains("masks") {
                true => masks += usize::from(rate == 0.2),
                false => weights += usize::from(rate == 0.1),
            }
        }
        assert_eq!((masks, weights), (7, 20));
    }

    #[test]
    fn learning_rates_fall_from_layer_to_layer() {
        let search = search(1, "layer_decay: 0.5, schedule: Cosine(final_lr: 0.01),");
        let slim = vit();
        let mut schedule = schedule(&search.training(), &search.masks, 10, &slim, IMAGE).unwrap();
        let parts = [
            ("masks", 1.0),
            ("cls_token", 0.25),
            ("patch_embed", 0.25),
            ("pos_embed", 0.25),
            ("blocks.0", 0.5),
            ("model.norm", 0.5),
        ];
        for _ in 0..10 {
            let rates = schedule.step();
            for (path, id, _) in parameters(&slim) {
                let part = parts.iter().find(|(part, _)| path.contains(part));
                let expected = part.map_or(1.0, |(_, scale)| *scale);
                let rate = rates.lr_from_param(id, Some(&path)) / rates.base();
                assert!((rate - expected).abs() < 1e-9, "{path}: {rate}");
            }
        }
    }

    #[test]
    fn warm_up_is_in_epochs_or_steps_and_a_twentieth_of_the_stage_if_it_is_not_written() {
        let schedule = |text: &str| ron::from_str::<Schedule>(text).unwrap();
        for (text, epochs, steps, expected) in [
            ("Cosine(warmup_epochs: Some(2))", 40, 10, 20),
            ("Cosine(warmup_epochs: Some(0.25))", 5, 467, 117),
            ("Cosine(warmup_epochs: Some(0))", 40, 10, 0),
            ("Cosine(warmup_steps: Some(7))", 40, 10, 7),
            ("Cosine()", 40, 10, 20),
            ("Cosine()", 3, 100, 15),
            ("Cosine()", 300, 10, 50),
            ("Cosine()", 1, 19, 0),
            ("Constant()", 40, 10, 0),
            ("Constant(warmup_steps: Some(3))", 40, 10, 3),
        ] {
            assert_eq!(schedule(text).warmup(epochs, steps), expected, "{text} of {epochs} epochs");
        }
    }

    #[test]
    fn warm_up_rises_linearly_and_the_cosine_falls_to_the_final_rate() {
        let rates = learning_rates("schedule: Cosine(warmup_epochs: 2, final_lr: 0.02)", 4);
        let expected = [0.025, 0.05, 0.075, 0.1, 0.1, 0.0883, 0.06, 0.0317];
        for (rate, expected) in rates.iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-4, "{rates:?}");
        }
    }

    #[test]
    fn a_warm_up_begins_at_its_rate_and_ends_before_the_full_one() {
        let close = |settings: &str, epochs, expected: &[f64]| {
            let rates = learning_rates(settings, epochs);
            let is_close = rates.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12);
            assert!(is_close && rates.len() == expected.len(), "{settings}: {rates:?}");
        };
        close("schedule: Constant(warmup_steps: 3, warmup_lr: 0.04)", 2, &[0.04, 0.06, 0.08, 0.1]);
        close("schedule: Constant(warmup_steps: 1, warmup_lr: 0.04)", 1, &[0.04, 0.1]);
        close("schedule: Constant(warmup_steps: 2, warmup_lr: 0.1)", 1, &[0.1, 0.1]);
        close(
            "schedule: Cosine(warmup_steps: 2, warmup_lr: 0.02, final_lr: 0.02)",
            2,
            &[0.02, 0.06, 0.1, 0.06],
        );
    }

    #[test]
    fn rates_are_scaled_to_the_batch_but_for_the_first_and_the_last() {
        let settings =
            "batch: 32, lr_of_batch: 64, schedule: Cosine(warmup_steps: 2, warmup_lr: 0.01, final_lr: 0.03)";
        let rates = learning_rates(settings, 2);
        assert!(rates.iter().zip([0.01, 0.03, 0.05, 0.04]).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
        // Goyal et al. train at 3.2.
        let settings =
            "batch: 64, lr_of_batch: 2, schedule: Cosine(warmup_steps: 2, warmup_lr: 0.2, final_lr: 0.4)";
        let rates = learning_rates(settings, 2);
        assert!(rates.iter().zip([0.2, 1.7, 3.2, 1.8]).all(|(a, b)| (a - b).abs() < 1e-12), "{rates:?}");
        assert_eq!(learning_rates("batch: 64, lr_of_batch: 1, schedule: Constant", 1), [6.4; 2]);
        let search = search(1, "masks: (lr: 0.2), batch: 32, lr_of_batch: 64, schedule: Constant,");
        let slim = vit();
        let rates = schedule(&search.training(), &search.masks, 1, &slim, IMAGE).unwrap().step();
        let mask = slim.masks.iter().next().unwrap().values.id;
        assert_eq!((rates.base(), rates.lr_from_param(mask, Some("masks.width"))), (0.05, 0.1));
    }

    #[test]
    fn constant_stays() {
        assert_eq!(learning_rates("schedule: Constant", 2), [0.1; 4]);
        let warmed = learning_rates("schedule: Constant(warmup_epochs: 1)", 2);
        assert!(warmed.iter().zip([0.05, 0.1, 0.1, 0.1]).all(|(a, b)| (a - b).abs() < 1e-12), "{warmed:?}");
    }
}
