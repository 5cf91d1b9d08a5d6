//! The order of heads: that of the plan in files, sorted by size in a sub-network that computes.

use std::collections::HashMap;

use burn::tensor::Device;

use super::axis::DimensionAxis;
use super::head_layout::{HeadLayout, LaidOut, by_size, without_empty};
use super::kept::{Kept, units_of_groups};
use super::layer::{Side, SlimLayer, index_tensor};
use super::mapper::DimensionMapper;
use super::plan::{Cut, Plan};
use super::scope::Scope;
use super::slimmable::{Slimmable, detached, device_of, mapped};

/// The sub-network `model`, which [`slim`](Slimmable::slim) cut by `plan`, with its heads in the order of `plan`: what files hold.
/// Heads without units are gone from both.
pub fn heads_as_planned<M: Slimmable>(model: &M, plan: &Plan) -> M {
    let planned: HashMap<_, _> = plan.cuts.iter().map(|cut| (cut.dimension.as_str(), cut)).collect();
    reordered(model, |laid_out, units| {
        let cuts = laid_out.iter().map(|laid_out| planned.get(laid_out.dimension.as_str()).copied());
        let left = |cut: &Cut| cut.by_group().iter().map(Vec::len).collect();
        let left: Vec<Vec<usize>> = cuts.map(|cut| cut.map(left)).collect::<Option<_>>()?;
        // The places that the slicer gave to the heads.
        let sliced = without_empty(by_size(&left), &left);
        let mut order: Vec<usize> = (0..sliced.len()).collect();
        order.sort_by_key(|&place| sliced[place]);
        (order.len() == units.first()?.len()).then_some(order)
    })
}

/// `model` with its heads in the order in which a sub-network computes them, whatever their order is. Undoes
/// [`heads_as_planned`].
pub fn heads_by_size<M: Slimmable>(model: &M) -> M {
    reordered(model, |_, units| Some(by_size(units)))
}

/// `model` with the heads of each layout in the order that `order` gives for its dimensions and their units, if any: their former
/// places.
fn reordered<M: Slimmable>(model: &M, order: impl Fn(&[LaidOut], &[Vec<usize>]) -> Option<Vec<usize>>) -> M {
    detached(model, |model| {
        let device = device_of(&model);
        let reorder = |scope| Reorder { scope, device: device.clone(), order: &order, kept: HashMap::new() };
        mapped(&model, reorder).0
    })
}

struct Reorder<F> {
    scope: Scope,
    device: Device,
    order: F,
    /// The dimensions of the layouts that change.
    kept: HashMap<String, Kept>,
}

impl<F: Fn(&[LaidOut], &[Vec<usize>]) -> Option<Vec<usize>>> DimensionMapper for Reorder<F> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, laid_out: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        let units = layout.units(laid_out);
        let order = (self.order)(laid_out, &units).filter(|order| !order.is_sorted());
        let Some(order) = order else { return layout };
        for (laid_out, units) in laid_out.iter().zip(&units) {
            let kept = Kept::ordered(units_of_groups(units), &order);
            self.kept.insert(laid_out.dimension.clone(), kept);
        }
        let now: Vec<Vec<usize>> =
            units.iter().map(|units| order.iter().map(|&head| units[head]).collect()).collect();
        layout.with_units(laid_out, &now)
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        if !axis.dimensions().any(|dimension| self.kept.contains_key(&dimension.path)) {
            return layer;
        }
        let left = axis.left(|path| self.kept.get(path));
        layer.select(side, index_tensor(&left, &self.device))
    }
}
