//! Between what limits can choose: the dense network, and what they may not cut.

use super::blindness::is_blind_after;
use super::error::RunError;
use super::selection::Selection;
use crate::data::ImageShape;
use crate::graph::{Counts, counts_after};
use crate::models::Architecture;
use crate::slim::{Dimension, DimensionKind, Floor, Floors, MaskSpec, Plan, settle};

/// Between what limits can choose, whatever the masks are. To find out takes many networks to count, so that it is done once for all
/// budgets.
pub(super) struct Bounds {
    /// The size of the dense network.
    pub(super) dense: Counts,
    /// What is never cut: beside what the experiment spares, one unit of each dimension without which no image gets through, and one of
    /// the first dimension of each key without which none does.
    pub(super) floors: Floors,
}

impl Bounds {
    /// Those of `model`, which takes such images and has these `dimensions`, of which some are `searched`.
    ///
    /// # Errors
    ///
    /// When it cannot be counted.
    pub(super) fn of<A: Architecture>(
        model: &A,
        image: ImageShape,
        dimensions: &[Dimension],
        searched: &[(Dimension, MaskSpec)],
        selection: &Selection,
    ) -> Result<Self, RunError> {
        let dense = counts_after(model, image, |model, _| Ok::<_, RunError>(model))?;
        let mut floors = selection.floors.clone();
        let without = |paths: &[&String]| {
            let mut plan = Plan::whole(dimensions);
            plan.cuts
                .iter_mut()
                .filter(|cut| paths.contains(&&cut.dimension))
                .for_each(|cut| cut.keep.clear());
            settle(&mut plan, dimensions);
            plan
        };
        for (dimension, _) in searched.iter().filter(|(dimension, _)| dimension.units() > 0) {
            let is_vital = || match dimension.kind {
                DimensionKind::Tokens { prefix, .. } => prefix == 0,
                DimensionKind::Features | DimensionKind::Branch => {
                    let plan = without(&[&dimension.path]);
                    let counts = counts_after(model, image, |model, _| Ok::<_, RunError>(model.slim(&plan)?));
                    // Nor does an image get through what cannot be computed.
                    !counts.is_ok_and(|counts| counts.sees)
                }
            };
            if !floors.0.contains_key(&dimension.path) && is_vital() {
                floors.0.insert(dimension.path.clone(), Floor::Layer(1));
            }
        }
        for key in &selection.keys {
            let paths: Vec<&String> = key.iter().collect();
            if !key.iter().any(|path| floors.0.contains_key(path))
                && is_blind_after(model, &without(&paths), image)
                && let Some(first) = key.first()
            {
                floors.0.insert(first.clone(), Floor::Layer(1));
            }
        }
        Ok(Self { dense, floors })
    }
}
