//! The order of heads: that of the plan in files, sorted by size in a sub-network that computes.

use std::collections::HashMap;

use burn::tensor::Device;

use super::head_layout::{HeadLayout, by_size};
use super::layer::{Side, SlimLayer, index_tensor};
use super::mapper::{DimensionAxis, DimensionMapper};
use super::plan::Plan;
use super::scope::Scope;
use super::slimmable::{Slimmable, detached, device_of};

/// The sub-network `model`, which [`slim`](Slimmable::slim) cut by `plan`, with its heads in the order of `plan`: what files hold.
/// Heads without units are gone from both.
pub fn heads_as_planned<M: Slimmable>(model: &M, plan: &Plan) -> M {
    let planned: HashMap<_, _> = plan.cuts.iter().map(|cut| (cut.dimension.as_str(), cut)).collect();
    reordered(model, |dimension, sizes| {
        let cut = planned.get(dimension)?;
        let left: Vec<usize> = cut.by_group().iter().map(Vec::len).filter(|&units| units > 0).collect();
        let mut order = vec![0; left.len()];
        for (place, head) in by_size(&left).into_iter().enumerate() {
            order[head] = place;
        }
        (order.len() == sizes.len()).then_some(order)
    })
}

/// `model` with its heads in the order in which a sub-network computes them, whatever their order is. Undoes
/// [`heads_as_planned`].
pub fn heads_by_size<M: Slimmable>(model: &M) -> M {
    reordered(model, |_, sizes| Some(by_size(sizes)))
}

/// `model` with the heads of each layout in the order that `order` gives for its path and sizes, if any: their former places.
fn reordered<M: Slimmable>(model: &M, order: impl Fn(&str, &[usize]) -> Option<Vec<usize>>) -> M {
    detached(model, |model| {
        let device = device_of(&model);
        let (heads, units) = (HashMap::new(), HashMap::new());
        model.map_dimensions(&mut Reorder { scope: Scope::default(), device, order, heads, units })
    })
}

struct Reorder<F> {
    scope: Scope,
    device: Device,
    order: F,
    /// The former place of each head, for each layout that changes.
    heads: HashMap<String, Vec<usize>>,
    /// The former place of each unit.
    units: HashMap<String, Vec<usize>>,
}

impl<F> Reorder<F> {
    fn select<S: Side, L: SlimLayer<S>>(
        &self,
        axis: &DimensionAxis,
        layer: L,
        side: S,
        order: &[usize],
    ) -> L {
        let features = axis.features(order, order.len());
        layer.select(side, index_tensor(&features, &self.device))
    }
}

impl<F: Fn(&str, &[usize]) -> Option<Vec<usize>>> DimensionMapper for Reorder<F> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, dimension: &str, mut layout: HeadLayout) -> HeadLayout {
        let order = (self.order)(dimension, &layout.sizes).filter(|order| !order.is_sorted());
        let Some(order) = order else { return layout };
        let ends = layout.sizes.iter().scan(0, |end, size| {
            *end += size;
            Some(*end)
        });
        let units: Vec<_> = ends.zip(&layout.sizes).map(|(end, size)| end - size..end).collect();
        self.units.insert(dimension.to_owned(), order.iter().flat_map(|&head| units[head].clone()).collect());
        layout.sizes = order.iter().map(|&head| layout.sizes[head]).collect();
        self.heads.insert(dimension.to_owned(), order);
        layout
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        match self.units.get(&axis.dimension) {
            Some(units) => self.select(&axis, layer, side, units),
            None => layer,
        }
    }

    fn map_groups_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        match self.heads.get(&axis.dimension) {
            Some(heads) => self.select(&axis, layer, side, heads),
            None => layer,
        }
    }
}
