//! What a unit costs in parameters.

use super::dimension::{DimensionAxis, DimensionMapper, Scope, Slimmable};
use super::layer::{Side, SlimLayer};
use super::mask::index_tensor;
use crate::nn::{HeadLayout, TokenGate};

/// The parameters that go when one unit of a dimension of the dense model is cut and nothing else: path and number, in
/// the order of the traversal. Token gates are not listed, a token costs none.
pub fn parameters_per_unit<M: Slimmable>(model: &M) -> Vec<(String, usize)> {
    let mut count = Count { scope: Scope::default(), parameters: Vec::new() };
    model.valid().map_dimensions(&mut count);
    count.parameters
}

struct Count {
    scope: Scope,
    parameters: Vec<(String, usize)>,
}

impl DimensionMapper for Count {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, _: &str, layout: HeadLayout) -> HeadLayout {
        layout
    }

    fn map_tokens(&mut self, _: &str, gate: TokenGate) -> TokenGate {
        gate
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let device = layer.devices().into_iter().next().unwrap_or_default();
        let left: Vec<usize> = (axis.features_per_unit()..layer.extent(side)).collect();
        let without_a_unit = layer.clone().select(side, index_tensor(&left, &device));
        let parameters = layer.num_params() - without_a_unit.num_params();
        match self.parameters.iter_mut().find(|(path, _)| *path == axis.dimension) {
            Some((_, sum)) => *sum += parameters,
            None => self.parameters.push((axis.dimension, parameters)),
        }
        layer
    }
}
