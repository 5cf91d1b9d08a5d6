//! Weights multiplied by masks.

use std::collections::HashMap;

use burn::tensor::Tensor;

use super::layer::{Side, SlimLayer};
use super::mapper::{DimensionAxis, DimensionMapper};
use super::scope::Scope;
use super::token_gate::TokenGate;

/// Multiplies the weights of gated axes by the factors of their dimension.
pub(super) struct Gate {
    scope: Scope,
    factors: HashMap<String, Tensor<1>>,
}

impl Gate {
    /// Gates by `factors`: path and unit factors (`[units]`) of each dimension.
    pub(super) fn by(factors: impl IntoIterator<Item = (String, Tensor<1>)>) -> Self {
        Self { scope: Scope::default(), factors: factors.into_iter().collect() }
    }
}

impl DimensionMapper for Gate {
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
        match self.factors.get(&axis.dimension) {
            Some(factors) if axis.gated => layer.scale(side, spread(factors, &axis)),
            _ => layer,
        }
    }
}

/// Unit factors spread over the features of an axis: `[units]` to `[outer * units * inner]`.
fn spread(factors: &Tensor<1>, axis: &DimensionAxis) -> Tensor<1> {
    let mut factors = factors.clone();
    if axis.inner > 1 {
        factors = factors.unsqueeze_dim::<2>(1).repeat_dim(1, axis.inner).flatten(0, 1);
    }
    if axis.outer > 1 {
        factors = factors.repeat_dim(0, axis.outer);
    }
    factors
}
