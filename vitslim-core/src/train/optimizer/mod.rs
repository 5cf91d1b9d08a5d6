//! Optimizer, learning rates and frozen parameters, as the experiment and the architecture specify.

mod adamw;
#[cfg(test)]
mod annotated;
#[cfg(test)]
mod built_in;
mod clip;
mod ema;
mod layer_decay;

use std::collections::{HashMap, HashSet};

use burn::module::{Module, ModuleMapper, Param, ParamGroup, ParamId};
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::LrSchedulerConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLrScheduler, ModuleLrSchedulerConfig};
use burn::optim::lr_scheduler::sequential::SequentialLrSchedulerConfig;
use burn::tensor::Tensor;

use self::adamw::AdamW;
pub(crate) use self::layer_decay::layer_rates;
use super::TrainError;
use crate::data::ImageShape;
use crate::experiment::{Masks, Optimizer, Schedule, Training};
use crate::models::{Architecture, Parameter};
use crate::slim::Slim;

pub(super) use clip::clip;
pub(super) use ema::Ema;

/// The optimizer of a stage that trains `slim`; `masks` are the settings of a search. If `slim` is cut, the shapes of the `dense`
/// parameters say what decays: a weight that is cut to one unit has those of a scale.
pub(super) fn optimizer<M: Architecture>(
    training: &Training,
    masks: &Masks,
    slim: &Slim<M>,
    dense: Option<&[Parameter]>,
) -> ModuleOptimizer {
    let Optimizer::AdamW { weight_decay, beta1, beta2, epsilon, .. } = training.optimizer;
    let decaying = |weight_decay: f64| {
        AdamW::new(beta1.get() as f32, beta2.get() as f32, epsilon.get() as f32, weight_decay as f32)
    };
    let dense: HashMap<&str, &Parameter> =
        dense.into_iter().flatten().map(|parameter| (parameter.path.as_str(), parameter)).collect();
    let decays = |parameter: &Parameter| dense.get(parameter.path.as_str()).unwrap_or(&parameter).decays();
    let spared = Parameter::annotated(&slim.model).into_iter().filter(|parameter| !decays(parameter));
    let spared = spared.map(|parameter| parameter.id).collect();
    ModuleOptimizer::from(decaying(weight_decay.get()))
        .with_group(ParamGroup::from_ids(spared), decaying(0.0), None)
        .with_group(masks_of(slim), decaying(masks.weight_decay.get()), None)
}

/// The learning rates of a stage that trains `slim` on images like `image` in epochs of `steps` steps.
///
/// # Errors
///
/// When burn refuses the learning rates, or the layers that `layer_decay` is about cannot be told.
pub(super) fn schedule<M: Architecture>(
    training: &Training,
    masks: &Masks,
    steps: usize,
    slim: &Slim<M>,
    image: ImageShape,
) -> Result<ModuleLrScheduler, TrainError> {
    let lr = training.optimizer.lr().get();
    let rates = |scale: f64, lr: f64| rates(&training.schedule, scale, lr, training.epochs.get(), steps);
    let mut config = ModuleLrSchedulerConfig::new(rates(1.0, lr));
    if let Some(decay) = training.layer_decay {
        for (scale, layer) in layer_rates(&slim.model, image, decay.get())? {
            let ids = layer.into_iter().map(|parameter| parameter.id).collect();
            config = config.with_group(ParamGroup::from_ids(ids), rates(scale, lr));
        }
    }
    config
        .with_group(masks_of(slim), rates(1.0, masks.lr.map_or(lr, |lr| lr.get())))
        .init()
        .map_err(TrainError::LearningRate)
}

fn masks_of<M: Module>(slim: &Slim<M>) -> ParamGroup {
    ParamGroup::ids_from_module(slim.masks.clone())
}

/// `model` without gradients for the parameters that a search with `freeze: Weights` does not train.
pub(super) fn freeze<M: Architecture>(model: M) -> M {
    let frozen =
        Parameter::annotated(&model).into_iter().filter(Parameter::freezes).map(|parameter| parameter.id);
    model.map(&mut Freeze(frozen.collect()))
}

struct Freeze(HashSet<ParamId>);

impl ModuleMapper for Freeze {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        if self.0.contains(&param.id) { param.set_require_grad(false) } else { param }
    }
}

/// The learning rates of `schedule`, all multiplied by `scale`.
fn rates(schedule: &Schedule, scale: f64, lr: f64, epochs: usize, steps: usize) -> LrSchedulerConfig {
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
    // From the rate of one step of warm-up to the full rate.
    let rise = LinearLrSchedulerConfig::new(lr / warmup as f64, lr, warmup.saturating_sub(1).max(1));
    let rise = LrSchedulerConfig::Linear(rise);
    LrSchedulerConfig::Sequential(SequentialLrSchedulerConfig::new(vec![rise, after], vec![warmup]))
}

#[cfg(test)]
mod tests {
    use burn::module::ModuleVisitor;
    use burn::optim::GradientsParams;
    use burn::tensor::Device;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::models::random_model;
    use crate::models::{ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig};
    use crate::train::fixture::{search, searched};

    const IMAGE: ImageShape = ImageShape { channels: 3, size: 8 };

    fn learning_rates(settings: &str, epochs: usize) -> Vec<f64> {
        let search = search(epochs, &format!("masks: (lr: 0.2), {settings},"));
        let mut schedule = schedule(&search.training(), &search.masks, 2, &vit(), IMAGE).unwrap();
        (0..2 * epochs).map(|_| schedule.step().base()).collect()
    }

    /// With all parameters drawn at random: a parameter that is 0 does not show whether it decays.
    pub(super) fn drawn<A: Architecture>(config: &A::Config) -> A {
        random_model::<A>(config, &mut ChaCha8Rng::seed_from_u64(1), &Device::flex()).unwrap().train()
    }

    fn small() -> VitConfig {
        VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 1, ..VitConfig::default() }
    }

    fn vit() -> Slim<Vit> {
        searched(drawn::<Vit>(&small())).train()
    }

    /// Path, id and sum of absolute values of every parameter.
    #[derive(Default)]
    struct Parameters {
        path: Vec<String>,
        found: Vec<(String, ParamId, f64)>,
    }

    impl ModuleVisitor for Parameters {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let sum = param.val().abs().sum().into_scalar::<f64>();
            self.found.push((self.path.join("."), param.id, sum));
        }
    }

    fn parameters<A: Architecture>(slim: &Slim<A>) -> Vec<(String, ParamId, f64)> {
        let mut parameters = Parameters::default();
        slim.visit(&mut parameters);
        parameters.found
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
        assert_eq!((masks, weights), (4, 20));
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

    /// Paths of the parameters that a step with gradients of 0 changes: by weight decay.
    pub(super) fn decayed<A: Architecture>(slim: Slim<A>, settings: &str) -> Vec<String> {
        let search = search(1, settings);
        let before = parameters(&slim);
        let mut total = Tensor::<1>::zeros([1], &Device::flex().autodiff());
        for mask in slim.masks.iter() {
            total = total + mask.values.val().sum() * 0.0;
        }
        let images = Tensor::ones([2, 3, 8, 8], &Device::flex().autodiff());
        total = total + slim.gated().forward(images).mean().sum() * 0.0;
        let gradients = GradientsParams::from_grads(total.backward(), &slim);
        let mut optimizer = optimizer(&search.training(), &search.masks, &slim, None);
        let after = parameters(&optimizer.step(0.1, slim, gradients));
        let decayed = before.iter().zip(&after).filter(|((_, _, before), (_, _, after))| after < before);
        decayed.map(|((path, ..), _)| path.clone()).collect()
    }

    #[test]
    fn weight_decay_spares_biases_norms_class_token_positions_and_masks() {
        for (settings, of_masks) in [("", false), ("masks: (weight_decay: 0.5),", true)] {
            let mut expected = vec![
                "model.patch_embed.proj.weight",
                "model.blocks.0.attn.qkv.weight",
                "model.blocks.0.attn.proj.weight",
                "model.blocks.0.mlp.fc1.weight",
                "model.blocks.0.mlp.fc2.weight",
                "model.head.weight",
            ];
            if of_masks {
                expected.extend(["masks.width", "masks.blocks.0.tokens"]);
                expected.extend(["masks.blocks.0.attn.head_dim", "masks.blocks.0.mlp.hidden"]);
            }
            assert_eq!(decayed(vit(), settings), expected);
        }
    }

    /// The parameters that weight decay changes, except those named `weight`.
    fn decayed_but_weights<A: Architecture>(config: &A::Config) -> Vec<String> {
        let decayed = decayed(Slim::dense(drawn::<A>(config)), "");
        assert!(decayed.iter().any(|path| path.ends_with("weight")), "{decayed:?}");
        decayed.into_iter().filter(|path| !path.ends_with("weight")).collect()
    }

    #[test]
    fn weight_decay_spares_distillation_and_register_tokens_relative_positions_and_layer_scales() {
        assert_eq!(decayed_but_weights::<DistilledVit>(&small()), Vec::<String>::new());
        let config = VitConfig { init_values: Some(1.0), reg_tokens: 4, ..small() };
        assert_eq!(decayed_but_weights::<Vit>(&config), Vec::<String>::new());
        let config = SwinConfig {
            image_size: 8,
            patch_size: 2,
            dim: 6,
            depths: vec![2, 1],
            heads: vec![2, 2],
            window: 2,
            ..SwinConfig::default()
        };
        assert_eq!(decayed_but_weights::<Swin>(&config), Vec::<String>::new());
        let config = ConvNextConfig {
            image_size: 8,
            dims: vec![6, 4],
            depths: vec![1, 1],
            ..ConvNextConfig::default()
        };
        assert_eq!(decayed_but_weights::<ConvNext>(&config), Vec::<String>::new());
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
    fn constant_stays() {
        assert_eq!(learning_rates("schedule: Constant", 2), [0.1; 4]);
        let warmed = learning_rates("schedule: Constant(warmup_epochs: 1)", 2);
        assert!(warmed.iter().zip([0.05, 0.1, 0.1, 0.1]).all(|(a, b)| (a - b).abs() < 1e-12), "{warmed:?}");
    }
}
