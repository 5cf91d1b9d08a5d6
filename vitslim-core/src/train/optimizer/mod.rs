//! Optimizer, learning rates and frozen parameters, as the experiment and the architecture specify.

mod adamw;
#[cfg(test)]
mod annotated;
#[cfg(test)]
mod built_in;
mod clip;
mod ema;
mod layer_decay;
mod schedule;

use std::collections::{HashMap, HashSet};

use burn::module::{ModuleMapper, Param, ParamGroup, ParamId};
use burn::optim::momentum::MomentumConfig;
use burn::optim::{LambConfig, ModuleOptimizer, SgdConfig, decay::WeightDecayConfig};
use burn::tensor::Tensor;

use self::adamw::AdamW;
pub(crate) use self::layer_decay::layer_rates;
use crate::experiment::{Masks, Optimizer, Training};
use crate::models::{Architecture, Parameter};
use crate::slim::Slim;

pub(super) use clip::clip;
pub(super) use ema::Ema;
pub(super) use schedule::schedule;

/// The optimizer of a stage that trains `slim`; `masks` are the settings of a search. If `slim` is cut, the shapes of the `dense`
/// parameters say what decays: a weight that is cut to one unit has those of a scale.
pub(super) fn optimizer<M: Architecture>(
    training: &Training,
    masks: &Masks,
    slim: &Slim<M>,
    dense: Option<&[Parameter]>,
) -> ModuleOptimizer {
    let dense: HashMap<&str, &Parameter> =
        dense.into_iter().flatten().map(|parameter| (parameter.path.as_str(), parameter)).collect();
    let decays = |parameter: &Parameter| dense.get(parameter.path.as_str()).unwrap_or(&parameter).decays();
    let spared = Parameter::annotated(&slim.model).into_iter().filter(|parameter| !decays(parameter));
    let groups = Groups {
        weight_decay: training.optimizer.weight_decay().get(),
        spared: ParamGroup::from_ids(spared.map(|parameter| parameter.id).collect()),
        masks: ParamGroup::ids_from_module(slim.masks.clone()),
        masks_decay: masks.weight_decay.get(),
    };
    match training.optimizer {
        Optimizer::AdamW { beta1, beta2, epsilon, .. } => groups.optimizer(|weight_decay| {
            AdamW::new(beta1.get() as f32, beta2.get() as f32, epsilon.get() as f32, weight_decay)
        }),
        Optimizer::Sgd { momentum, nesterov, .. } => groups.optimizer(|penalty| {
            let momentum = MomentumConfig { momentum: momentum.get(), dampening: 0.0, nesterov };
            SgdConfig::new()
                .with_weight_decay((penalty > 0.0).then_some(WeightDecayConfig { penalty }))
                .with_momentum((momentum.momentum > 0.0).then_some(momentum))
                .build()
        }),
        Optimizer::Lamb { beta1, beta2, epsilon, .. } => groups.optimizer(|weight_decay| {
            LambConfig::new()
                .with_beta_1(beta1.get() as f32)
                .with_beta_2(beta2.get() as f32)
                .with_epsilon(epsilon.get() as f32)
                .with_weight_decay(weight_decay)
                // What does not decay takes steps of Adam, as in timm.
                .with_use_trust_ratio(weight_decay > 0.0)
                .build()
        }),
    }
}

/// The parameters of a network, by their weight decay.
struct Groups {
    weight_decay: f64,
    /// Those without weight decay.
    spared: ParamGroup,
    /// The masks, which decay by themselves.
    masks: ParamGroup,
    masks_decay: f64,
}

impl Groups {
    /// Each group with the optimizer that `of` makes for its weight decay.
    fn optimizer<O: burn::optim::Optimizer>(self, of: impl Fn(f32) -> O) -> ModuleOptimizer {
        let [all, spared, masks] = [self.weight_decay, 0.0, self.masks_decay].map(|decay| of(decay as f32));
        ModuleOptimizer::from(all).with_group(self.spared, spared, None).with_group(self.masks, masks, None)
    }
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

#[cfg(test)]
mod tests {
    use burn::module::{Module, ModuleVisitor};
    use burn::optim::GradientsParams;
    use burn::tensor::Device;
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::models::random_model;
    use crate::models::{ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig};
    use crate::train::fixture::{search, searched};

    /// With all parameters drawn at random: a parameter that is 0 does not show whether it decays.
    pub(super) fn drawn<A: Architecture>(config: &A::Config) -> A {
        random_model::<A>(config, &mut ChaCha8Rng::seed_from_u64(1), &Device::flex()).unwrap().train()
    }

    fn small() -> VitConfig {
        VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 1, ..VitConfig::default() }
    }

    pub(super) fn vit() -> Slim<Vit> {
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

    pub(super) fn parameters<A: Architecture>(slim: &Slim<A>) -> Vec<(String, ParamId, f64)> {
        let mut parameters = Parameters::default();
        slim.visit(&mut parameters);
        parameters.found
    }

    /// Paths of the parameters that a step with gradients of 0 changes: by weight decay.
    pub(super) fn decayed<A: Architecture>(slim: Slim<A>, settings: &str) -> Vec<String> {
        let search = search(1, settings);
        decayed_by(slim, &search.training(), &search.masks)
    }

    fn decayed_by<A: Architecture>(slim: Slim<A>, training: &Training, masks: &Masks) -> Vec<String> {
        let before = parameters(&slim);
        let mut total = Tensor::<1>::zeros([1], &Device::flex().autodiff());
        for mask in slim.masks.iter() {
            total = total + mask.values.val().sum() * 0.0;
        }
        let images = Tensor::ones([2, 3, 8, 8], &Device::flex().autodiff());
        total = total + slim.gated().forward(images).mean().sum() * 0.0;
        let gradients = GradientsParams::from_grads(total.backward(), &slim);
        let mut optimizer = optimizer(training, masks, &slim, None);
        let after = parameters(&optimizer.step(0.1, slim, gradients));
        let decayed = before.iter().zip(&after).filter(|((_, _, before), (_, _, after))| after < before);
        decayed.map(|((path, ..), _)| path.clone()).collect()
    }

    #[test]
    fn weight_decay_spares_biases_norms_class_token_positions_and_masks() {
        for (settings, of_masks) in [("", false), ("masks: (weight_decay: 0.5),", true)] {
            let weights = [
                "patch_embed.proj",
                "blocks.0.attn.qkv",
                "blocks.0.attn.proj",
                "blocks.0.mlp.fc1",
                "blocks.0.mlp.fc2",
                "head",
            ];
            let mut expected = weights.map(|layer| format!("model.{layer}.weight")).to_vec();
            if of_masks {
                expected.push("masks.width".to_owned());
                let of_block =
                    ["attn_branch", "mlp_branch", "block_branch", "tokens", "attn.head_dim", "mlp.hidden"];
                expected.extend(of_block.map(|dimension| format!("masks.blocks.0.{dimension}")));
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

    /// Each kind of optimizer decays the same parameters: of those with gradients of 0, nothing else moves.
    #[test]
    fn whatever_the_optimizer_the_same_parameters_decay() {
        let of = |optimizer: &str, settings: &str| {
            let search = search(1, settings);
            let training = Training { optimizer: ron::from_str(optimizer).unwrap(), ..search.training() };
            decayed_by(vit(), &training, &search.masks)
        };
        for settings in ["", "masks: (weight_decay: 0.5),"] {
            let expected = of("AdamW(lr: 0.1, weight_decay: 0.5)", settings);
            for optimizer in ["Sgd(lr: 0.1, weight_decay: 0.5)", "Lamb(lr: 0.1, weight_decay: 0.5)"] {
                assert_eq!(of(optimizer, settings), expected, "{optimizer}, {settings}");
            }
        }
    }

    /// How far two steps with gradients of 1 move a mask.
    #[test]
    fn masks_are_updated_by_the_optimizer_of_the_weights() {
        let moved = |optimizer: &str| {
            let search = search(1, "");
            let training = Training { optimizer: ron::from_str(optimizer).unwrap(), ..search.training() };
            let mut slim = vit();
            let mut optimizer = super::optimizer(&training, &search.masks, &slim, None);
            let values =
                |slim: &Slim<Vit>| slim.masks.iter().next().unwrap().values.val().sum().into_scalar::<f64>();
            let units = slim.masks.iter().next().unwrap().values.val().dims()[0] as f64;
            let before = values(&slim);
            for _ in 0..2 {
                let mut total = Tensor::<1>::zeros([1], &Device::flex().autodiff());
                for mask in slim.masks.iter() {
                    total = total + mask.values.val().sum();
                }
                let gradients = GradientsParams::from_grads(total.backward(), &slim);
                slim = optimizer.step(0.1, slim, gradients);
            }
            (before - values(&slim)) / units
        };
        // Velocities 1 and 1.5; with a look ahead, steps of 1 + 0.5 and 1 + 0.5 * 1.5.
        for (optimizer, expected) in [
            ("Sgd(lr: 0.1, momentum: 0.5, nesterov: false)", 0.25),
            ("Sgd(lr: 0.1, momentum: 0.5)", 0.325),
            ("Sgd(lr: 0.1, momentum: 0)", 0.2),
            // Steps of Adam are signs of gradients, which are not scaled: masks do not decay.
            ("Lamb(lr: 0.1)", 0.2),
        ] {
            let moved = moved(optimizer);
            assert!((moved - expected).abs() < 1e-5, "{optimizer}: {moved}");
        }
    }
}
