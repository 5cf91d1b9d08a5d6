//! Optimizer and learning rates, as the experiment says.

use burn::module::ParamGroup;
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::LrSchedulerConfig;
use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
use burn::optim::lr_scheduler::linear::LinearLrSchedulerConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLrScheduler, ModuleLrSchedulerConfig};
use burn::optim::lr_scheduler::sequential::SequentialLrSchedulerConfig;

use super::TrainError;
use super::adamw::AdamW;
use crate::experiment::{Masks, Optimizer, Schedule, Training};

/// Parameters that weight decay spares, as timm does: biases, norms, layer scales, class and distillation token, and positions.
const NO_DECAY: &str =
    r"(^|\.)(bias|gamma|beta|cls_token|dist_token|pos_embed|relative_position_bias_table)$";

/// The masks, in the paths of a [`Trainee`](super::step::Trainee).
const MASKS: &str = r"^slim\.masks\.";

/// The optimizer of a stage; `masks` are those of a search.
pub(super) fn optimizer(training: &Training, masks: &Masks) -> Result<ModuleOptimizer, TrainError> {
    let Optimizer::AdamW { weight_decay, beta1, beta2, epsilon, .. } = training.optimizer;
    let decaying = |weight_decay: f64| {
        AdamW::new(beta1.get() as f32, beta2.get() as f32, epsilon.get() as f32, weight_decay as f32)
    };
    // Of the groups that match, the last wins.
    Ok(ModuleOptimizer::from(decaying(weight_decay.get()))
        .with_group(group(NO_DECAY)?, decaying(0.0), None)
        .with_group(group(MASKS)?, decaying(masks.weight_decay.get()), None))
}

/// The learning rates of a stage of `epochs` epochs with `steps` steps each. `layers` are the paths of the parameters of
/// each layer of the model, for a learning rate that falls from layer to layer: that of layer `l` of `n` is multiplied by
/// `layer_decay ^ (n - l)`, as BEiT and timm have it.
pub(super) fn scheduler(
    training: &Training,
    masks: &Masks,
    steps: usize,
    layers: &[Vec<String>],
) -> Result<ModuleLrScheduler, TrainError> {
    let lr = training.optimizer.lr().get();
    let schedule =
        |scale: f64, lr: f64| schedule(&training.schedule, scale, lr, training.epochs.get(), steps);
    let mut config = ModuleLrSchedulerConfig::new(schedule(1.0, lr));
    if let Some(decay) = training.layer_decay {
        for (above, paths) in layers.iter().rev().enumerate() {
            let scale = decay.get().powi(above as i32);
            let paths = paths.join("|").replace('.', r"\.");
            let layer = group(&format!(r"^slim\.model\.({paths})$"))?;
            config = config.with_group(layer, schedule(scale, lr));
        }
    }
    // Of the groups that match, the last wins.
    config
        .with_group(group(MASKS)?, schedule(1.0, masks.lr.map_or(lr, |lr| lr.get())))
        .init()
        .map_err(TrainError::LearningRate)
}

fn group(pattern: &str) -> Result<ParamGroup, TrainError> {
    ParamGroup::from_regex(pattern).map_err(|error| TrainError::LearningRate(format!("{error:?}")))
}

/// The learning rates of `schedule`, all multiplied by `scale`.
fn schedule(schedule: &Schedule, scale: f64, lr: f64, epochs: usize, steps: usize) -> LrSchedulerConfig {
    let lr = scale * lr;
    let warmup = schedule.warmup_epochs() * steps;
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
    // From one step's worth to all of it.
    let rise = LinearLrSchedulerConfig::new(lr / warmup as f64, lr, warmup.saturating_sub(1).max(1));
    let rise = LrSchedulerConfig::Linear(rise);
    LrSchedulerConfig::Sequential(SequentialLrSchedulerConfig::new(vec![rise, after], vec![warmup]))
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor, Param, ParamId};
    use burn::optim::GradientsParams;
    use burn::tensor::{Device, Tensor};
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::experiment::{Document, Search};
    use crate::models::{
        Architecture, ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig, random_model,
    };
    use crate::nn::Precision;
    use crate::slim::{MaskSet, MaskSpec, Slim, describe};
    use crate::train::layer_decay::layers;
    use crate::train::step::{StepSettings, Trainee};
    use crate::train::watch::Watch;

    fn rates(schedule: &str, epochs: usize) -> Vec<f64> {
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, search: (epochs: {epochs}, \
             optimizer: AdamW(lr: 0.1), schedule: {schedule}, masks: (lr: 0.2), \
             dimensions: {{ \"hidden\": (weight: 0) }}), budgets: [Share({{ \"hidden\": 0.5 }})])"
        );
        let experiment = Document::parse("a.ron", &text, &[]).unwrap().experiment().unwrap();
        let search = experiment.search;
        let mut scheduler = scheduler(&search.training(), &search.masks, 2, &[]).unwrap();
        (0..2 * epochs).map(|_| scheduler.step().base()).collect()
    }

    fn experiment(search: &str) -> Search {
        let text = format!(
            "Experiment(name: \"a\", model: (architecture: \"vit\"), data: Digits, search: (epochs: 1, {search}, \
             dimensions: {{ \"hidden\": (weight: 0) }}), budgets: [Share({{ \"hidden\": 0.5 }})])"
        );
        Document::parse("a.ron", &text, &[]).unwrap().experiment().unwrap().search
    }

    fn settings() -> StepSettings {
        StepSettings { parts: 1, label_smoothing: 0.0, clip: None, precision: Precision::F32 }
    }

    /// With all parameters drawn: what is 0 does not show whether it decays.
    fn drawn<A: Architecture>(config: &A::Config) -> A {
        random_model::<A>(config, &mut ChaCha8Rng::seed_from_u64(1), &Device::flex()).unwrap().train()
    }

    fn trainee() -> Trainee<Vit> {
        let device = Device::flex().autodiff();
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 1, ..VitConfig::default() };
        let model = drawn::<Vit>(&config);
        let searched = describe(&model).unwrap().into_iter().map(|d| (d, MaskSpec::default()));
        let masks = MaskSet::new(&searched.collect::<Vec<_>>(), &device);
        Trainee::new(Slim { model, masks }, settings(), Watch::default())
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

    fn parameters<A: Architecture>(trainee: &Trainee<A>) -> Vec<(String, ParamId, f64)> {
        let mut parameters = Parameters::default();
        trainee.visit(&mut parameters);
        parameters.found
    }

    #[test]
    fn masks_have_their_own_learning_rate() {
        let search = experiment("optimizer: AdamW(lr: 0.1), masks: (lr: 0.2)");
        let rates = scheduler(&search.training(), &search.masks, 1, &[]).unwrap().step();
        let (mut masks, mut weights) = (0, 0);
        for (path, id, _) in parameters(&trainee()) {
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
        let search =
            experiment("optimizer: AdamW(lr: 0.1), layer_decay: 0.5, schedule: Cosine(final_lr: 0.01)");
        let trainee = trainee();
        let layers = layers(&trainee.slim.model);
        let mut scheduler = scheduler(&search.training(), &search.masks, 10, &layers).unwrap();
        let parts = [
            ("masks", 1.0),
            ("cls_token", 0.25),
            ("patch_embed", 0.25),
            ("pos_embed", 0.25),
            ("blocks.0", 0.5),
        ];
        for _ in 0..10 {
            let rates = scheduler.step();
            for (path, id, _) in parameters(&trainee) {
                let part = parts.iter().find(|(part, _)| path.contains(part));
                let expected = part.map_or(1.0, |(_, scale)| *scale);
                let rate = rates.lr_from_param(id, Some(&path)) / rates.base();
                assert!((rate - expected).abs() < 1e-9, "{path}: {rate}");
            }
        }
    }

    /// With gradients of 0, a step of AdamW is its weight decay.
    #[test]
    fn weight_decay_spares_biases_norms_class_token_positions_and_masks() {
        for (masks, decays) in [("", false), ("masks: (weight_decay: 0.5),", true)] {
            let search = experiment(&format!("{masks} optimizer: AdamW(lr: 0.1, weight_decay: 0.5)"));
            let trainee = trainee();
            let before = parameters(&trainee);
            let mut total = Tensor::<1>::zeros([1], &Device::flex().autodiff());
            for mask in trainee.slim.masks.iter() {
                total = total + mask.values.val().sum() * 0.0;
            }
            let gated = trainee.slim.gated();
            let images = Tensor::ones([2, 3, 8, 8], &Device::flex().autodiff());
            total = total + gated.forward(images).class.sum() * 0.0;
            let gradients = GradientsParams::from_grads(total.backward(), &trainee);
            let mut optimizer = optimizer(&search.training(), &search.masks).unwrap();
            let after = parameters(&optimizer.step(0.1, trainee, gradients));
            let decayed = before.iter().zip(&after).filter(|((_, _, before), (_, _, after))| after < before);
            let decayed: Vec<_> =
                decayed.map(|((path, ..), _)| path.rsplit("slim.").next().unwrap()).collect();
            let mut expected = vec![
                "model.patch_embed.proj.weight",
                "model.blocks.0.attn.qkv.weight",
                "model.blocks.0.attn.proj.weight",
                "model.blocks.0.mlp.fc1.weight",
                "model.blocks.0.mlp.fc2.weight",
                "model.head.weight",
            ];
            if decays {
                expected.extend(["masks.width", "masks.blocks.0.tokens"]);
                expected.extend(["masks.blocks.0.attn.head_dim", "masks.blocks.0.mlp.hidden"]);
            }
            assert_eq!(decayed, expected);
        }
    }

    /// Last names of the parameters that weight decay changes in a step with gradients of 0, without those called `weight`.
    fn decayed_but_weights<A: Architecture>(config: &A::Config) -> Vec<String> {
        let device = Device::flex().autodiff();
        let model = drawn::<A>(config);
        let trainee = Trainee::new(Slim::dense(model), settings(), Watch::default());
        let search = experiment("optimizer: AdamW(lr: 0.1, weight_decay: 0.5)");
        let before = parameters(&trainee);
        let logits = trainee.slim.model.forward(Tensor::ones([2, 3, 8, 8], &device)).mean();
        let gradients = GradientsParams::from_grads((logits.sum() * 0.0).backward(), &trainee);
        let mut optimizer = optimizer(&search.training(), &search.masks).unwrap();
        let after = parameters(&optimizer.step(0.1, trainee, gradients));
        let decayed = before.iter().zip(&after).filter(|((_, _, before), (_, _, after))| after < before);
        let decayed: Vec<_> = decayed.map(|((path, ..), _)| path.clone()).collect();
        assert!(decayed.iter().any(|path| path.ends_with("weight")), "{decayed:?}");
        decayed.into_iter().filter(|path| !path.ends_with("weight")).collect()
    }

    #[test]
    fn weight_decay_spares_distillation_token_relative_positions_and_layer_scales() {
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 1, ..VitConfig::default() };
        assert_eq!(decayed_but_weights::<DistilledVit>(&config), Vec::<String>::new());
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
