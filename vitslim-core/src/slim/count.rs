//! How many parameters a unit has.

use super::head_layout::HeadLayout;
use super::layer::{Side, SlimLayer, index_tensor};
use super::mapper::{DimensionAxis, DimensionMapper};
use super::scope::Scope;
use super::slimmable::Slimmable;

/// How many parameters go when one unit of each dimension of the dense model is cut and nothing else: path and number, in the
/// order of the traversal. Token gates are not listed, since a token has no parameters.
pub fn parameters_per_unit<M: Slimmable>(model: &M) -> Vec<(String, usize)> {
    let mut count = Count { scope: Scope::default(), parameters: Vec::new(), alone: Vec::new() };
    model.valid().map_dimensions(&mut count);
    count.parameters
}

struct Count {
    scope: Scope,
    parameters: Vec<(String, usize)>,
    /// Dimensions whose first group has one unit, so that the group goes with the unit.
    alone: Vec<String>,
}

impl Count {
    /// Adds the parameters that go with one unit, or one group, of `axis`.
    fn add<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let device = layer.devices().into_iter().next().unwrap_or_default();
        let left = index_tensor(&axis.without_first(layer.extent(side)), &device);
        let without = layer.clone().select(side, left);
        let parameters = layer.num_params() - without.num_params();
        match self.parameters.iter_mut().find(|(path, _)| *path == axis.dimension) {
            Some((_, sum)) => *sum += parameters,
            None => self.parameters.push((axis.dimension, parameters)),
        }
        layer
    }
}

impl DimensionMapper for Count {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, dimension: &str, layout: HeadLayout) -> HeadLayout {
        if layout.sizes.first() == Some(&1) {
            self.alone.push(dimension.to_owned());
        }
        layout
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        self.add(axis, layer, side)
    }

    fn map_groups_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        if self.alone.contains(&axis.dimension) { self.add(axis, layer, side) } else { layer }
    }
}
