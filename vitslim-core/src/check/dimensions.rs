//! The cost of a unit of each dimension.

use super::pattern::{pattern, patterns};
use crate::data::ImageShape;
use crate::graph::macs;
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;
use crate::report::{CheckedCarrier, CheckedDimension};
use crate::slim::{Dimension, Plan, parameters_per_unit, settle};

/// The dimensions of `model`, which has `dense` multiply-adds, each with the cost of one unit: what is saved when that unit
/// is cut and nothing else. A token is cut from its gate on.
pub(super) fn with_costs<A: Architecture>(
    model: &A,
    image: ImageShape,
    dimensions: &[Dimension],
    dense: Option<u64>,
) -> Vec<CheckedDimension> {
    let parameters = attempt(|| parameters_per_unit(model)).unwrap_or_default();
    let parameters: Vec<usize> = dimensions
        .iter()
        .map(|dimension| match dimension.is_branch() {
            true => of_branch(model, dimensions, dimension),
            false => {
                parameters.iter().find(|(path, _)| *path == dimension.path).map_or(0, |(_, count)| *count)
            }
        })
        .collect();
    let macs = dense.map(|dense| Macs { model, image, dimensions, dense }.per_unit(&parameters));
    let row = |(index, dimension): (usize, &Dimension)| CheckedDimension {
        path: dimension.path.clone(),
        pattern: pattern(&dimension.path),
        groups: dimension.groups.clone(),
        units: dimension.units(),
        tokens: dimension.is_tokens(),
        branch: dimension.is_branch(),
        params_per_unit: parameters[index],
        macs_per_unit: macs.as_ref().and_then(|macs| macs[index]),
        searched: false,
        carriers: dimension
            .carriers
            .iter()
            .map(|carrier| CheckedCarrier {
                layer: carrier.layer.clone(),
                pattern: pattern(&carrier.layer),
                side: carrier.side.clone(),
                features_per_unit: carrier.features_per_unit,
                gated: carrier.gated,
            })
            .collect(),
    };
    dimensions.iter().enumerate().map(row).collect()
}

/// The parameters that go with `branch`.
fn of_branch<A: Architecture>(model: &A, dimensions: &[Dimension], branch: &Dimension) -> usize {
    let mut plan = Plan::whole(dimensions);
    plan.get_mut(&branch.path).into_iter().for_each(|cut| cut.keep.clear());
    settle(&mut plan, dimensions);
    let left = attempt(|| Some(Parameter::count(&model.slim(&plan).ok()?)));
    left.ok().flatten().map_or(0, |left| Parameter::count(model).saturating_sub(left))
}

struct Macs<'a, A> {
    model: &'a A,
    image: ImageShape,
    dimensions: &'a [Dimension],
    dense: u64,
}

impl<A: Architecture> Macs<'_, A> {
    /// Multiply-adds of a unit of each dimension, given the parameters of a unit of each. `None` without units, or if
    /// slicing fails.
    fn per_unit(&self, parameters: &[usize]) -> Vec<Option<u64>> {
        let mut found = vec![None; self.dimensions.len()];
        for (_, members) in patterns(self.dimensions) {
            let first = members[0];
            let alike = |&index: &usize| {
                (&self.dimensions[index].groups, parameters[index])
                    == (&self.dimensions[first].groups, parameters[first])
            };
            let saved = self.saved(&[first]);
            // If their units cost the same, cutting one in each saves that many times as much: two recorded forward passes
            // instead of one for each dimension.
            let same = members.iter().all(alike)
                && !self.dimensions[first].is_tokens()
                && saved.is_some_and(|saved| self.saved(&members) == Some(saved * members.len() as u64));
            for &index in &members {
                found[index] = if same || index == first { saved } else { self.saved(&[index]) };
            }
        }
        found
    }

    /// What is saved by cutting the first unit of each dimension of `cut`.
    fn saved(&self, cut: &[usize]) -> Option<u64> {
        let mut plan = Plan::whole(self.dimensions);
        for &index in cut {
            if self.dimensions[index].units() == 0 {
                return None;
            }
            plan.cuts[index].keep.remove(0);
        }
        settle(&mut plan, self.dimensions);
        let left = attempt(|| macs(&self.model.slim(&plan).ok()?, self.image).ok()).ok()??;
        self.dense.checked_sub(left)
    }
}
