//! Optimizer and learning rates, as the experiment says.

use burn::module::ParamGroup;
use burn::optim::lr_scheduler::LrSchedulerConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLrScheduler, ModuleLrSchedulerConfig};
use burn::optim::lr_scheduler::sequential::SequentialLrSchedulerConfig;
use burn::optim::{AdamWConfig, ModuleOptimizer};

use super::TrainError;
use crate::experiment::{Masks, Optimizer, Schedule, Training};

/// Parameters that weight decay spares, as timm does: biases, norms, class token and positions.
const NO_DECAY: &str = r"(^|\.)(bias|gamma|beta|cls_token|pos_embed)$";

/// The masks, in the paths of a [`Trainee`](super::step::Trainee).
const MASKS: &str = r"^slim\.masks\.";

/// The optimizer of a stage; `masks` are those of a search.
pub(super) fn optimizer(training: &Training, masks: &Masks) -> Result<ModuleOptimizer, TrainError> {
    let Optimizer::AdamW { weight_decay, beta1, beta2, epsilon, .. } = training.optimizer;
    let decaying = |weight_decay: f64| {
        AdamWConfig::new()
            .with_weight_decay(weight_decay as f32)
            .with_beta_1(beta1.get() as f32)
            .with_beta_2(beta2.get() as f32)
            .with_epsilon(epsilon.get() as f32)
    };
    // Of the groups that match, the last wins.
    Ok(decaying(weight_decay.get())
        .init()
        .with_group(group(NO_DECAY)?, decaying(0.0).build(), None)
        .with_group(group(MASKS)?, decaying(masks.weight_decay.get()).build(), None))
}

/// The learning rates of a stage of `epochs` epochs with `steps` steps each.
pub(super) fn scheduler(
    training: &Training,
    masks: &Masks,
    steps: usize,
) -> Result<ModuleLrScheduler, TrainError> {
    let lr = training.optimizer.lr().get();
    let base = schedule(&training.schedule, lr, training.epochs.get(), steps);
    let of_masks = masks.lr.map_or(lr, |lr| lr.get());
    let of_masks = schedule(&training.schedule, of_masks, training.epochs.get(), steps);
    ModuleLrSchedulerConfig::new(base)
        .with_group(group(MASKS)?, of_masks)
        .init()
        .map_err(TrainError::LearningRate)
}

fn group(pattern: &str) -> Result<ParamGroup, TrainError> {
    ParamGroup::from_regex(pattern).map_err(|error| TrainError::LearningRate(format!("{error:?}")))
}

fn schedule(schedule: &Schedule, lr: f64, epochs: usize, steps: usize) -> LrSchedulerConfig {
    let warmup = schedule.warmup_epochs() * steps;
    let after = match *schedule {
        Schedule::Constant { .. } => LrSchedulerConfig::Constant(lr),
        Schedule::Cosine { final_lr, .. } => {
            let steps = (epochs * steps).saturating_sub(warmup).max(1);
            let cosine = CosineAnnealingLrSchedulerConfig::new(lr, steps);
            LrSchedulerConfig::Cosine(cosine.with_min_lr(final_lr.get().min(lr)))
        }
    };
    if warmup == 0 {
        return after;
    }
    // From one step's worth to all of it.
    let rise = LinearLrSchedulerConfig::new(lr / warmup as f64, lr, warmup.saturating_sub(1).max(1));
    let rise = LrSchedulerConfig::Linear(rise);
    LrSchedulerConfig::Sequential(SequentialLrSchedulerConfig::new(vec![rise, after], vec![warmup]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::Document;

    fn rates(schedule: &str, epochs: usize) -> Vec<f64> {
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, search: (epochs: {epochs}, \
             optimizer: AdamW(lr: 0.1), schedule: {schedule}, masks: (lr: 0.2), \
             dimensions: {{ \"hidden\": (weight: 0) }}), budgets: [Share({{ \"hidden\": 0.5 }})])"
        );
        let experiment = Document::parse("a.ron", &text, &[]).unwrap().experiment().unwrap();
        let search = experiment.search;
        let mut scheduler = scheduler(&search.training(), &search.masks, 2).unwrap();
        (0..2 * epochs).map(|_| scheduler.step().base()).collect()
    }

    #[test]
    fn warm_up_rises_linearly_and_the_cosine_falls_to_the_final_rate() {
        let rates = rates("Cosine(warmup_epochs: 2, final_lr: 0.02)", 4);
        let expected = [0.025, 0.05, 0.075, 0.1, 0.1, 0.0883, 0.06, 0.0317];
        for (rate, expected) in rates.iter().zip(expected) {
            assert!((rate - expected).abs() < 1e-4, "{rates:?}");
        }
    }

    #[test]
    fn constant_stays() {
        assert_eq!(rates("Constant", 2), [0.1; 4]);
        let warmed = rates("Constant(warmup_epochs: 1)", 2);
        assert!(warmed.iter().zip([0.05, 0.1, 0.1, 0.1]).all(|(a, b)| (a - b).abs() < 1e-12), "{warmed:?}");
    }
}
