//! Weights multiplied by masks, and a model together with its masks.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::dimension::{DimensionAxis, DimensionMapper, Scope, Slimmable};
use super::layer::{Side, SlimLayer};
use super::mask::MaskSet;
use crate::nn::{HeadLayout, TokenGate};

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

    fn map_layout(&mut self, _: &str, layout: HeadLayout) -> HeadLayout {
        layout
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
