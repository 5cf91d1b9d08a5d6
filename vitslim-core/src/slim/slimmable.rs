//! What an annotated model can do. Each operation maps the model with a [`DimensionMapper`].

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::describe::{Describe, DimensionError};
use super::dimension::Dimension;
use super::gate::Gate;
use super::mapper::DimensionMapper;
use super::mask::MaskSet;
use super::plan::{Plan, PlanError};
use super::scope::Scope;
use super::several::Several;
use super::slice::Slice;

/// A module whose dimensions can be gated and sliced. Written by `#[derive(Slimmable)]`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not slimmable",
    label = "`#[slim]` marks a field whose type has `#[derive(Slimmable)]`",
    note = "if `{Self}` is a struct of yours, put `#[derive(Slimmable)]` on it",
    note = "if it is a layer such as `Linear`, name its axis instead: `#[slim(output = [hidden])]`",
    note = "if it has nothing to prune, remove the `#[slim]`"
)]
pub trait Slimmable: Module {
    /// Takes the module apart, hands every annotated part to `mapper`, and puts it together again.
    ///
    /// In this order: open the scope; how training treats fields; gates of branches; layouts; token gates, axes and nested fields in
    /// the order of the fields, and the axes of one field in the order written, before its [`end`](DimensionMapper::end) and its
    /// [`part`](DimensionMapper::part); close the scope. A nested field is mapped between [`enter`](DimensionMapper::enter) and
    /// [`exit`](DimensionMapper::exit).
    fn map_dimensions<M: DimensionMapper>(self, mapper: &mut M) -> Self;

    /// Maps the module as the field `name` of the struct that `mapper` is in, for a traversal written by hand.
    fn map_nested<M: DimensionMapper>(self, name: &str, mapper: &mut M) -> Self {
        mapper.enter(name);
        let module = self.map_dimensions(mapper);
        mapper.exit();
        module
    }

    /// The model with its weights multiplied by `masks`, of the same type. Gradients reach both weights and masks. Call it
    /// before each forward pass of a search; it costs one pass over the gated weights.
    fn gate(&self, masks: &MaskSet) -> Self {
        gated(self, masks.unit_factors())
    }

    /// The model with `masks` multiplied into its weights for good, to be sliced and retrained. Token masks are not folded: a
    /// token is either kept or cut.
    fn fold(&self, masks: &MaskSet) -> Self {
        let masks = masks.valid();
        let features = masks.iter().filter(|mask| !mask.is_tokens());
        let factors = features.map(|mask| (mask.path.clone(), mask.unit_factors()));
        detached(self, |model| gated(&model, factors))
    }

    /// The model with every unit that `plan` cuts multiplied by 0, and cut tokens removed or merged. It keeps the cut weights, and
    /// computes what the model that [`slim`](Self::slim) returns must compute.
    ///
    /// # Errors
    ///
    /// When the plan does not belong to this model.
    fn hard_mask(&self, plan: &Plan) -> Result<Self, PlanError> {
        cut(self, plan, Features::Masked)
    }

    /// The sub-network that `plan` leaves, of the same type: cut rows and columns are removed.
    ///
    /// # Errors
    ///
    /// When the plan does not belong to this model, for instance because the model is sliced already.
    fn slim(&self, plan: &Plan) -> Result<Self, PlanError> {
        cut(self, plan, Features::Removed)
    }
}

impl<T: Slimmable> Slimmable for Vec<T> {
    fn map_dimensions<M: DimensionMapper>(self, mapper: &mut M) -> Self {
        self.each(|index, item| item.map_nested(index, mapper))
    }
}

impl<T: Slimmable, const N: usize> Slimmable for [T; N] {
    fn map_dimensions<M: DimensionMapper>(self, mapper: &mut M) -> Self {
        self.each(|index, item| item.map_nested(index, mapper))
    }
}

impl<T: Slimmable> Slimmable for Option<T> {
    fn map_dimensions<M: DimensionMapper>(self, mapper: &mut M) -> Self {
        self.map(|item| item.map_dimensions(mapper))
    }
}

/// The dimensions of `model`, in the order of its traversal.
///
/// # Errors
///
/// When its annotations contradict each other, or the sizes of its layers.
pub fn describe<M: Slimmable>(model: &M) -> Result<Vec<Dimension>, DimensionError> {
    mapped(model, Describe::new).1.finish()
}

/// `model` mapped by what `mapper` makes of a scope, and that mapper. It is mapped once more if a sum of dimensions came before
/// what tells their sizes.
pub(crate) fn mapped<M: Slimmable, D: DimensionMapper>(model: &M, mapper: impl Fn(Scope) -> D) -> (M, D) {
    let mut scope = Scope::default();
    loop {
        let known = scope.known();
        let mut mapper = mapper(scope);
        let mapped = model.clone().map_dimensions(&mut mapper);
        let after = mapper.scope();
        if after.lacking().is_none() || after.known() == known {
            return (mapped, mapper);
        }
        scope = after.again();
    }
}

/// `model` with its weights multiplied by `factors`: path and unit factors (`[units]`) of each dimension.
fn gated<M: Slimmable>(model: &M, factors: impl IntoIterator<Item = (String, Tensor<1>)>) -> M {
    let factors: HashMap<_, _> = factors.into_iter().collect();
    mapped(model, |scope| Gate::by(scope, &factors)).0
}

/// `model` with everything that goes with a unit multiplied by its mask, in each layer that carries it: parameters to look at, and no
/// network to compute with, since what is multiplied twice is gated twice.
pub(crate) fn scaled_everywhere<M: Slimmable>(model: &M, masks: &MaskSet) -> M {
    let factors = masks.unit_factors().into_iter().collect();
    mapped(model, |scope| Gate::everywhere(scope, &factors)).0
}

/// What happens to the features that a plan cuts.
#[derive(Clone, Copy, PartialEq)]
enum Features {
    /// They are multiplied by 0.
    Masked,
    /// They are removed.
    Removed,
}

/// `model` cut by `plan`. Cut tokens are removed or merged either way.
fn cut<M: Slimmable>(model: &M, plan: &Plan, features: Features) -> Result<M, PlanError> {
    let dimensions = describe(model)?;
    plan.check(&dimensions)?;
    let mut error = None;
    let cut = detached(model, |mut model| {
        let device = device_of(&model);
        if features == Features::Masked {
            let is_masked = |dimension: &&Dimension| !dimension.is_tokens() && dimension.units() > 0;
            let masked = dimensions.iter().filter(is_masked);
            let cuts = masked.filter_map(|dimension| plan.get(&dimension.path));
            model = gated(&model, cuts.map(|cut| (cut.dimension.clone(), cut.factors(&device))));
        }
        let slice = |scope| Slice::new(scope, plan, features == Features::Removed, device.clone());
        let (model, slice) = mapped(&model, slice);
        error = slice.error;
        model
    });
    error.map_or(Ok(cut), Err)
}

/// The model after `change`, which is applied outside autodiff; back in training mode if the model was. A parameter changed on
/// an autodiff device would no longer be a leaf of the graph: it would silently stop training.
pub(super) fn detached<M: Module>(model: &M, change: impl FnOnce(M) -> M) -> M {
    let trains = device_of(model).is_autodiff();
    let changed = change(model.valid());
    if trains { changed.train() } else { changed }
}

pub(super) fn device_of<M: Module>(model: &M) -> Device {
    model.devices().into_iter().next().unwrap_or_default()
}
