//! Weights multiplied by masks.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Tensor;

use super::axis::{DimensionAxis, Owner};
use super::branches::multiplied;
use super::layer::{Side, SlimLayer, index_tensor};
use super::mapper::{DimensionMapper, End};
use super::scope::Scope;
use super::token_gate::TokenGate;

/// Multiplies the weights of gated axes by the factors of their dimensions.
pub(super) struct Gate<'a> {
    scope: Scope,
    factors: &'a HashMap<String, Tensor<1>>,
    /// Whether axes that are not gated are multiplied too, and of a branch all that it has.
    everywhere: bool,
}

impl<'a> Gate<'a> {
    /// Gates by `factors`: the unit factors, `[units]`, of the dimension at each path.
    pub(super) fn by(scope: Scope, factors: &'a HashMap<String, Tensor<1>>) -> Self {
        Self { scope, factors, everywhere: false }
    }

    /// Likewise, on every axis of the dimension, and in all that is in a branch.
    pub(super) fn everywhere(scope: Scope, factors: &'a HashMap<String, Tensor<1>>) -> Self {
        Self { scope, factors, everywhere: true }
    }

    /// The factor of each feature of `axis`; `None` if none of its dimensions has factors.
    fn factors_of(&self, axis: &DimensionAxis) -> Option<Tensor<1>> {
        match axis.outer_and_inner() {
            Some((outer, inner)) => {
                let factors = self.factors.get(&axis.dimensions().next()?.path)?;
                Some(spread(factors, outer, inner))
            }
            None => self.gathered(axis),
        }
    }

    /// Likewise, of any axis.
    fn gathered(&self, axis: &DimensionAxis) -> Option<Tensor<1>> {
        let of_dimensions: Vec<Option<&Tensor<1>>> =
            axis.dimensions.iter().map(|dimension| self.factors.get(&dimension.path)).collect();
        let device = of_dimensions.iter().flatten().next()?.device();
        // The first is the factor of what belongs to no unit, or to one without a mask.
        let mut factors = vec![Tensor::ones([1], &device)];
        let mut end = 1;
        let mut starts = Vec::with_capacity(of_dimensions.len());
        for of_dimension in of_dimensions {
            starts.push(of_dimension.map(|_| end));
            if let Some(of_dimension) = of_dimension {
                end += of_dimension.dims()[0];
                factors.push(of_dimension.clone());
            }
        }
        let place =
            |owner: Option<Owner>| owner.and_then(|owner| Some(starts[owner.dimension]? + owner.unit));
        let places: Vec<usize> = axis.owners().into_iter().map(|owner| place(owner).unwrap_or(0)).collect();
        Some(Tensor::cat(factors, 0).select(0, index_tensor(&places, &device)))
    }
}

impl DimensionMapper for Gate<'_> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        match self.factors.get(dimension) {
            Some(factors) => gate.gated(factors.clone()),
            None => gate,
        }
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        match (axis.gated || self.everywhere).then(|| self.factors_of(&axis)).flatten() {
            Some(factors) => layer.scale(side, factors),
            None => layer,
        }
    }

    fn map_end<S: Side, L: SlimLayer<S>>(&mut self, end: End, layer: L, side: S) -> L {
        let product = end.branches.iter().filter_map(|branch| self.factors.get(branch)).cloned();
        match product.reduce(|one, other| one * other).filter(|_| !self.everywhere) {
            Some(factor) => {
                let factors = factor.expand([layer.extent(side)]);
                layer.scale(side, factors)
            }
            None => layer,
        }
    }

    fn map_part<T: Module>(&mut self, _: &str, branches: &[String], part: T) -> T {
        let factors = branches.iter().filter_map(|branch| self.factors.get(branch));
        match self.everywhere {
            true => factors.fold(part, multiplied),
            false => part,
        }
    }
}

/// Unit factors spread over the features of an axis: `[units]` to `[outer * units * inner]`.
fn spread(factors: &Tensor<1>, outer: usize, inner: usize) -> Tensor<1> {
    let mut factors = factors.clone();
    if inner > 1 {
        factors = factors.unsqueeze_dim::<2>(1).repeat_dim(1, inner).flatten(0, 1);
    }
    if outer > 1 {
        factors = factors.repeat_dim(0, outer);
    }
    factors
}
