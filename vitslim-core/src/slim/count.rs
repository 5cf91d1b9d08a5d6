//! How many parameters a unit has.

use super::axis::DimensionAxis;
use super::head_layout::{HeadLayout, LaidOut, without_empty};
use super::kept::{Kept, units_of_groups, units_without_first};
use super::layer::{Side, SlimLayer, index_tensor};
use super::mapper::DimensionMapper;
use super::scope::Scope;
use super::slimmable::{Slimmable, mapped};

/// How many parameters go when one unit of each dimension of the dense model is cut and nothing else: path and number, in the
/// order of the traversal. Token gates are not listed, since a token has no parameters, nor branches, with which other units go.
pub fn parameters_per_unit<M: Slimmable>(model: &M) -> Vec<(String, usize)> {
    let count = |scope| Count { scope, parameters: Vec::new(), laid_out: Vec::new() };
    mapped(&model.valid(), count).1.parameters
}

struct Count {
    scope: Scope,
    parameters: Vec<(String, usize)>,
    /// For each dimension with a layout, what is left of it, and of those beside it, without its first unit: a group that has no
    /// more units is gone.
    laid_out: Vec<(String, Vec<(String, Kept)>)>,
}

impl DimensionMapper for Count {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, laid_out: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        let sizes = layout.units(laid_out);
        for (cut, of) in laid_out.iter().enumerate() {
            let units = sizes.iter().enumerate().map(|(index, sizes)| match index == cut {
                true => units_without_first(sizes),
                false => units_of_groups(sizes),
            });
            let units: Vec<Vec<Vec<usize>>> = units.collect();
            let left: Vec<Vec<usize>> =
                units.iter().map(|units| units.iter().map(Vec::len).collect()).collect();
            let order = without_empty((0..layout.sizes.len()).collect(), &left);
            let kept = units.into_iter().map(|units| Kept::ordered(units, &order));
            let paths = laid_out.iter().map(|laid_out| laid_out.dimension.clone());
            self.laid_out.push((of.dimension.clone(), paths.zip(kept).collect()));
        }
        layout
    }

    /// Adds the parameters that go with a unit of each dimension of `axis`.
    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let device = layer.devices().into_iter().next().unwrap_or_default();
        // An axis of groups alone has the first dimension of their layout, and loses one with a unit of any.
        let beside = self.laid_out.iter().filter(|(_, kept)| {
            kept.iter().any(|(path, _)| axis.dimensions().any(|dimension| dimension.path == *path))
        });
        let named = axis.dimensions().map(|dimension| &dimension.path);
        let mut paths: Vec<String> = Vec::new();
        for path in named.chain(beside.map(|(path, _)| path)) {
            if !paths.contains(path) {
                paths.push(path.clone());
            }
        }
        for path in paths {
            let laid_out = self.laid_out.iter().find(|(dimension, _)| *dimension == path);
            let left = match laid_out {
                Some((_, kept)) => {
                    axis.left(|path| kept.iter().find(|(other, _)| other == path).map(|(_, kept)| kept))
                }
                None => axis.without_first(&path),
            };
            if left.len() == axis.extent() {
                continue;
            }
            let without = layer.clone().select(side, index_tensor(&left, &device));
            // A parameter that all heads share becomes one of each.
            let parameters = layer.num_params().saturating_sub(without.num_params());
            match self.parameters.iter_mut().find(|(known, _)| *known == path) {
                Some((_, sum)) => *sum += parameters,
                None => self.parameters.push((path, parameters)),
            }
        }
        layer
    }
}
