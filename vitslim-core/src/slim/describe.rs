//! Reads the dimensions of a model from the model itself.

use thiserror::Error;

use super::dimension::{Carrier, Dimension, DimensionKind};
use super::head_layout::HeadLayout;
use super::layer::{Side, SlimLayer};
use super::mapper::{DimensionAxis, DimensionMapper, Scope};
use super::token_gate::TokenGate;

/// Sizes of a model that contradict its annotations.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DimensionError {
    /// The features of a layer's side are not a multiple of the axis's factors.
    #[error(
        "the {side} of `{layer}` has {extent} features, which is not a multiple of {features_per_unit}, the features per \
         unit of `{dimension}` that its axis says"
    )]
    Indivisible {
        /// Path of the layer.
        layer: String,
        /// Side of the layer.
        side: String,
        /// Path of the dimension.
        dimension: String,
        /// Features of the side.
        extent: usize,
        /// Features of a unit, by the annotation.
        features_per_unit: usize,
    },
    /// Two carriers of a dimension have different numbers of units.
    #[error("`{dimension}` has {expected} units at `{first}` but {found} at the {side} of `{layer}`")]
    Disagree {
        /// Path of the dimension.
        dimension: String,
        /// Path of the first layer that carries it.
        first: String,
        /// Its units there.
        expected: usize,
        /// Path of the layer that disagrees.
        layer: String,
        /// Side of that layer.
        side: String,
        /// Its units at that layer.
        found: usize,
    },
    /// A side that cannot carry a dimension.
    #[error("the {side} of `{layer}` cannot carry `{dimension}`: {reason}")]
    Layer {
        /// Path of the layer.
        layer: String,
        /// Side of the layer.
        side: String,
        /// Path of the dimension.
        dimension: String,
        /// What the layer says.
        reason: String,
    },
    /// The number of features on an axis of groups is not the number of groups.
    #[error(
        "`{dimension}` has {expected} groups, but the {side} of `{layer}`, whose axis names only the groups, has {extent} \
         features"
    )]
    Groups {
        /// Path of the dimension.
        dimension: String,
        /// Groups of its layout.
        expected: usize,
        /// Path of the layer.
        layer: String,
        /// Side of the layer.
        side: String,
        /// Features of the side.
        extent: usize,
    },
    /// A gate on an axis of groups.
    #[error(
        "the {side} of `{layer}` names only the groups of `{dimension}`, but masks multiply units: remove its `gate`"
    )]
    GatedGroups {
        /// Path of the dimension.
        dimension: String,
        /// Path of the layer.
        layer: String,
        /// Side of the layer.
        side: String,
    },
    /// A gate with more prefix tokens than tokens.
    #[error("the token gate `{path}` has {prefix} prefix tokens but only {tokens} tokens")]
    Prefix {
        /// Path of the gate.
        path: String,
        /// Its prefix tokens.
        prefix: usize,
        /// Its tokens.
        tokens: usize,
    },
}

/// Collects the dimensions in the order of the traversal.
#[derive(Default)]
pub(super) struct Describe {
    scope: Scope,
    dimensions: Vec<Dimension>,
    error: Option<DimensionError>,
}

impl Describe {
    /// What was found.
    pub(super) fn finish(self) -> Result<Vec<Dimension>, DimensionError> {
        self.error.map_or(Ok(self.dimensions), Err)
    }

    fn add(&mut self, path: &str, kind: DimensionKind, groups: Vec<usize>) -> usize {
        self.dimensions.push(Dimension { path: path.to_owned(), kind, groups, carriers: vec![] });
        self.dimensions.len() - 1
    }
}

impl DimensionMapper for Describe {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, dimension: &str, layout: HeadLayout) -> HeadLayout {
        self.add(dimension, DimensionKind::Features, layout.sizes.clone());
        layout
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        match gate.tokens.checked_sub(gate.prefix) {
            Some(units) => {
                self.add(
                    dimension,
                    DimensionKind::Tokens { prefix: gate.prefix, sliced: gate.is_sliced() },
                    vec![units],
                );
            }
            None => {
                self.error.get_or_insert(DimensionError::Prefix {
                    path: dimension.to_owned(),
                    prefix: gate.prefix,
                    tokens: gate.tokens,
                });
            }
        }
        gate
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let extent = layer.extent(side);
        let features_per_unit = axis.features_per_unit();
        if features_per_unit == 0 || !extent.is_multiple_of(features_per_unit) {
            self.error.get_or_insert(DimensionError::Indivisible {
                layer: axis.layer,
                side: side.name(),
                dimension: axis.dimension,
                extent,
                features_per_unit,
            });
            return layer;
        }
        let units = extent / features_per_unit;
        // As it is, and without one unit, whichever.
        let first_left = [0, 1].map(|first| axis.features(&(first..units).collect::<Vec<_>>(), units));
        if let Err(reason) = first_left.iter().try_for_each(|kept| layer.check(side, kept)) {
            let DimensionAxis { dimension, layer: layer_path, .. } = axis;
            let side = side.name();
            self.error.get_or_insert(DimensionError::Layer { layer: layer_path, side, dimension, reason });
            return layer;
        }
        let known = self.dimensions.iter().position(|known| known.path == axis.dimension);
        let index = known.unwrap_or_else(|| self.add(&axis.dimension, DimensionKind::Features, vec![units]));
        let dimension = &mut self.dimensions[index];
        if dimension.units() != units {
            let first = dimension.carriers.first();
            self.error.get_or_insert(DimensionError::Disagree {
                first: first.map_or_else(|| "its layout".to_owned(), |first| first.layer.clone()),
                expected: dimension.units(),
                dimension: axis.dimension,
                layer: axis.layer,
                side: side.name(),
                found: units,
            });
            return layer;
        }
        dimension.carriers.push(Carrier {
            layer: axis.layer,
            side: side.name(),
            features_per_unit,
            gated: axis.gated,
        });
        layer
    }

    fn map_groups_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let extent = layer.extent(side);
        let known = self.dimensions.iter().find(|known| known.path == axis.dimension);
        let groups = known.map_or(0, |known| known.groups.len());
        let DimensionAxis { dimension, layer: layer_path, .. } = axis.clone();
        let side = side.name();
        if axis.gated {
            self.error.get_or_insert(DimensionError::GatedGroups { dimension, layer: layer_path, side });
        } else if extent != groups * axis.features_per_unit() {
            let expected = groups;
            let error = DimensionError::Groups { dimension, expected, layer: layer_path, side, extent };
            self.error.get_or_insert(error);
        }
        layer
    }
}
