//! Weights multiplied by masks, and a model together with its masks.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::dimension::{DimensionAxis, DimensionMapper, Scope, Slimmable};
use super::layer::{Side, SlimLayer};
use super::mask::MaskSet;
use crate::nn::TokenGate;

/// A model and the masks that a search trains beside it. The masks are no part of the model: its code never sees one,
/// and its checkpoint keys stay those of the dense model.
#[derive(Module, Debug)]
pub struct Slim<M: Module> {
    /// The dense model.
    pub model: M,
    /// The masks of the dimensions that are searched; empty outside a search.
    pub masks: MaskSet,
}

impl<M: Slimmable> Slim<M> {
    /// A model without masks, to pretrain or retrain.
    pub fn dense(model: M) -> Self {
        Self { model, masks: MaskSet::default() }
    }

    /// The model that a forward pass goes through: gated, where there are masks.
    pub fn gated(&self) -> M {
        if self.masks.is_empty() { self.model.clone() } else { self.model.gate(&self.masks) }
    }
}

/// `model` gated by `factors`: path and unit factors (`[units]`) of each dimension.
pub(super) fn gate<M: Slimmable>(model: M, factors: Vec<(String, Tensor<1>)>) -> M {
    let mut gate = Gate { scope: Scope::default(), factors: factors.into_iter().collect() };
    model.map_dimensions(&mut gate)
}

/// See [`Slimmable::fold`].
pub(super) fn fold<M: Slimmable>(model: &M, masks: &MaskSet) -> M {
    let masks = masks.valid();
    let features = masks.iter().filter(|mask| !mask.is_tokens());
    let factors = features.map(|mask| (mask.path.clone(), mask.unit_factors())).collect();
    detached(model, |model| gate(model, factors))
}

/// What `change` makes of the model outside autodiff, taken back to training if the model was. A parameter that is
/// changed on an autodiff device would be no leaf of the graph any more, and never move again, silently.
pub(super) fn detached<M: Module>(model: &M, change: impl FnOnce(M) -> M) -> M {
    let trains = device_of(model).is_autodiff();
    let changed = change(model.valid());
    if trains { changed.train() } else { changed }
}

pub(super) fn device_of<M: Module>(model: &M) -> Device {
    model.devices().into_iter().next().unwrap_or_default()
}

struct Gate {
    scope: Scope,
    factors: HashMap<String, Tensor<1>>,
}

impl DimensionMapper for Gate {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        match self.factors.get(dimension) {
            Some(factors) => gate.gated(factors.clone()),
            None => gate,
        }
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        match self.factors.get(&axis.dimension) {
            Some(factors) if axis.gated => layer.scale(side, spread(factors, &axis)),
            _ => layer,
        }
    }
}

/// Unit factors spread over the features of an axis: `[units]` to `[outer * units * inner]`.
fn spread(factors: &Tensor<1>, axis: &DimensionAxis) -> Tensor<1> {
    let mut factors = factors.clone();
    if axis.inner > 1 {
        factors = factors.unsqueeze_dim::<2>(1).repeat_dim(1, axis.inner).flatten(0, 1);
    }
    if axis.outer > 1 {
        factors = factors.repeat_dim(0, axis.outer);
    }
    factors
}

#[cfg(test)]
mod tests {
    use burn::module::{ModuleVisitor, Param};
    use burn_capture::TensorId;

    use super::*;
    use crate::graph::tensor_id;
    use crate::models::{Architecture, Vit, VitConfig};
    use crate::slim::{MaskSpec, describe};

    /// Path and tensor of each parameter.
    #[derive(Default)]
    struct Tensors {
        path: Vec<String>,
        found: Vec<(String, TensorId)>,
    }

    impl ModuleVisitor for Tensors {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.found.push((self.path.join("."), tensor_id(&param.val()).unwrap()));
        }
    }

    fn tensors(model: &Vit) -> Vec<(String, TensorId)> {
        let mut tensors = Tensors::default();
        model.visit(&mut tensors);
        tensors.found
    }

    /// The parameters that are other tensors than before when the dimensions `searched` of `model` are gated.
    fn made_anew(model: &Vit, searched: &[&str]) -> Vec<String> {
        let dimensions = describe(model).unwrap();
        let searched: Vec<_> = dimensions
            .into_iter()
            .filter(|dimension| searched.contains(&dimension.path.as_str()))
            .map(|dimension| (dimension, MaskSpec::default()))
            .collect();
        let mut made = Vec::new();
        let recorder = Device::capture();
        let graph = recorder.capture_scope(|scope| {
            let model = model.clone().to_device(&recorder);
            let gated = model.gate(&MaskSet::new(&searched, &recorder));
            let pairs = tensors(&model).into_iter().zip(tensors(&gated));
            made.extend(pairs.filter(|(old, new)| old != new).map(|((path, _), _)| path));
            scope.complete([], [])
        });
        graph.unwrap();
        made
    }

    #[test]
    fn what_is_not_searched_stays_the_very_same_tensor() {
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 2, ..VitConfig::default() };
        let model = Vit::init(&config, &Device::flex()).unwrap();
        let nothing: [String; 0] = [];
        assert_eq!(made_anew(&model, &[]), nothing);
        assert_eq!(made_anew(&model, &["blocks.1.tokens"]), nothing);
        assert_eq!(made_anew(&model, &["blocks.1.mlp.hidden"]), ["blocks.1.mlp.fc2.weight"]);
        assert_eq!(
            made_anew(&model, &["blocks.0.attn.head_dim", "blocks.0.mlp.hidden"]),
            ["blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias", "blocks.0.mlp.fc2.weight"]
        );
    }
}
