//! Which parameters of masked units still act.

use burn::tensor::{Tensor, TensorData};

use super::change::{Change, changed};
use super::pattern::{layer_pattern, pattern};
use super::subject::{Subject, TOLERANCE};
use crate::models::{Architecture, Parameter};
use crate::slim::{
    DimensionAxis, DimensionMapper, Kept, Plan, Scope, Side, SlimLayer, Slimmable, index_tensor, mapped,
};
use crate::values::relative_difference;

/// The values that slicing removes from the parameters of one pattern, along one annotated axis.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    /// Pattern of the parameter: `blocks.*.mlp.fc1.bias`.
    pub parameter: String,
    /// Pattern of the annotated layer.
    pub layer: String,
    /// The annotated side.
    pub side: String,
    /// Pattern of the dimension.
    pub dimension: String,
    /// Whether the dimension's mask multiplies there.
    pub gated: bool,
    /// Path of each parameter of the pattern, and which of its values are removed.
    values: Vec<(String, Vec<bool>)>,
}

/// What `plan` removes from `model`, in the order of the traversal.
pub(super) fn taken<M: Slimmable>(model: &M, plan: &Plan) -> Vec<Taken> {
    mapped(model, |scope| Taking { scope, plan, taken: Vec::new() }).1.taken
}

struct Taking<'a> {
    scope: Scope,
    plan: &'a Plan,
    taken: Vec<Taken>,
}

impl DimensionMapper for Taking<'_> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        for dimension in axis.dimensions() {
            self.take(&axis, &dimension.path, &layer, side);
        }
        layer
    }
}

impl Taking<'_> {
    /// Notes what is removed from `layer` with the units of the dimension at `path`.
    fn take<S: Side, L: SlimLayer<S>>(&mut self, axis: &DimensionAxis, path: &str, layer: &L, side: S) {
        let Some(cut) = self.plan.get(path).filter(|cut| cut.keep.len() < cut.units()) else { return };
        let kept = Kept::of_groups(cut.by_group());
        let left = axis.left(|other| (other == path).then_some(&kept));
        let device = layer.devices().into_iter().next().unwrap_or_default();
        // With each value replaced by its index, what is left of the layer tells which values it removes.
        let numbered = changed(layer.clone(), &mut Number);
        let mut stays = Left::default();
        changed(numbered.select(side, index_tensor(&left, &device)), &mut stays);
        for parameter in Parameter::all(layer) {
            let count = parameter.shape.iter().product();
            let mut values = vec![true; count];
            let stay = stays.0.iter().find(|(path, _)| *path == parameter.path);
            let stay = stay.into_iter().flat_map(|(_, stay)| stay);
            // A layer of an author's own may do more than select, and leave what is not an index.
            stay.for_each(|&value| values.get_mut(value).into_iter().for_each(|taken| *taken = false));
            if !values.contains(&true) {
                continue;
            }
            let place = match parameter.path.as_str() {
                "" => axis.layer.clone(),
                inside => format!("{}.{inside}", axis.layer),
            };
            let of_this_pattern = |known: &&mut Taken| {
                let is_known = known.values.iter().any(|(known, _)| *known == place);
                known.parameter == pattern(&place)
                    && known.side == side.name()
                    && known.gated == axis.gated
                    && !is_known
            };
            match self.taken.iter_mut().find(of_this_pattern) {
                Some(known) => known.values.push((place, values)),
                None => self.taken.push(Taken {
                    parameter: pattern(&place),
                    layer: layer_pattern(&axis.layer),
                    side: side.name(),
                    dimension: pattern(path),
                    gated: axis.gated,
                    values: vec![(place, values)],
                }),
            }
        }
    }
}

/// Sets each value to its index.
struct Number;

impl Change for Number {
    fn change<const D: usize>(&mut self, _: &str, value: &Tensor<D>) -> Option<Tensor<D>> {
        let shape = value.dims();
        let numbers: Vec<f64> = (0..shape.iter().product::<usize>()).map(|number| number as f64).collect();
        Some(Tensor::from_data(TensorData::new(numbers, shape), &value.device()))
    }
}

/// Reads the indices that are left, parameter by parameter.
#[derive(Default)]
struct Left(Vec<(String, Vec<usize>)>);

impl Change for Left {
    fn change<const D: usize>(&mut self, path: &str, value: &Tensor<D>) -> Option<Tensor<D>> {
        let numbers = value.to_data().convert::<f64>().try_into_vec::<f64>().unwrap_or_default();
        self.0.push((path.to_owned(), numbers.into_iter().map(|number| number.round() as usize).collect()));
        None
    }
}

/// The parameters of `taken` that the hard-masked network still depends on, although the sliced network lacks them.
pub(super) fn acting<A: Architecture>(subject: &Subject<A>, plan: &Plan, taken: &[Taken]) -> Vec<Taken> {
    let masked = |model: &A| -> Option<Vec<f64>> { subject.logits(&model.hard_mask(plan).ok()?).ok() };
    let Some(expected) = masked(&subject.model) else { return Vec::new() };
    let depends = |taken: &&Taken| {
        let other = changed(subject.model.clone(), &mut Disturb(taken));
        masked(&other).is_none_or(|found| relative_difference(&expected, &found) > TOLERANCE)
    };
    taken.iter().filter(depends).cloned().collect()
}

/// Changes the values that are removed.
struct Disturb<'a>(&'a Taken);

impl Change for Disturb<'_> {
    fn change<const D: usize>(&mut self, path: &str, value: &Tensor<D>) -> Option<Tensor<D>> {
        let (_, taken) = self.0.values.iter().find(|(known, _)| known == path)?;
        let shift: Vec<f64> = taken.iter().map(|taken| if *taken { 0.5 } else { 0.0 }).collect();
        let shift = Tensor::from_data(TensorData::new(shift, value.dims()), &value.device());
        // Some values grow, others change sign.
        Some(value.clone() + shift)
    }
}

/// Whether hard masking leaves any value of `taken` other than 0.
pub(super) fn is_left_by_its_gate<A: Architecture>(subject: &Subject<A>, plan: &Plan, taken: &Taken) -> bool {
    let Ok(masked) = subject.model.hard_mask(plan) else { return false };
    let mut largest = Largest { taken, found: 0.0 };
    changed(masked, &mut largest);
    largest.found > 0.0
}

struct Largest<'a> {
    taken: &'a Taken,
    found: f64,
}

impl Change for Largest<'_> {
    fn change<const D: usize>(&mut self, path: &str, value: &Tensor<D>) -> Option<Tensor<D>> {
        let (_, taken) = self.taken.values.iter().find(|(known, _)| known == path)?;
        let values = value.to_data().convert::<f64>().try_into_vec::<f64>().unwrap_or_default();
        let taken = values.iter().zip(taken).filter(|(_, taken)| **taken);
        self.found = taken.fold(self.found, |most, (value, _)| most.max(value.abs()));
        None
    }
}
