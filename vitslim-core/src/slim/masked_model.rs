use burn::module::Module;

use super::mask::MaskSet;
use super::slimmable::Slimmable;

/// A model and the masks that a search trains beside it. The masks are not part of the model: its code never sees one, and its
/// checkpoint keys stay those of the dense model.
#[derive(Module, Debug)]
pub struct Slim<M: Module> {
    /// The dense model.
    pub model: M,
    /// The masks of the searched dimensions; empty outside a search.
    pub masks: MaskSet,
}

impl<M: Slimmable> Slim<M> {
    /// A model without masks, for pretraining and retraining.
    pub fn dense(model: M) -> Self {
        Self { model, masks: MaskSet::default() }
    }

    /// The model for a forward pass: gated, if there are masks.
    pub fn gated(&self) -> M {
        if self.masks.is_empty() { self.model.clone() } else { self.model.gate(&self.masks) }
    }
}
