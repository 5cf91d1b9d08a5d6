//! Reads the dimensions of a model from the model itself.

use thiserror::Error;

use super::dimension::{Carrier, Dimension, DimensionKind};
use super::head_layout::HeadLayout;
use super::layer::{Side, SlimLayer};
use super::mapper::{DimensionAxis, DimensionMapper};
use super::scope::Scope;
use super::token_gate::TokenGate;

/// Annotations that contradict each other, or the sizes of the layers.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum DimensionError {
    /// A layer's side that cannot carry a dimension.
    #[error("the {side} of `{layer}` cannot carry `{dimension}`: {reason}")]
    Side {
        /// Path of the layer.
        layer: String,
        /// The side: `input`, `output` or `axis(2)`.
        side: String,
        /// Path of the dimension.
        dimension: String,
        /// Why not.
        reason: String,
    },
    /// A token gate with more prefix tokens than tokens.
    #[error("the token gate `{path}` has {prefix} prefix tokens but only {tokens} tokens")]
    Prefix {
        /// Path of the gate.
        path: String,
        /// Number of its prefix tokens.
        prefix: usize,
        /// Number of its tokens.
        tokens: usize,
    },
    /// A path into a field that leads to no dimension.
    #[error("`{path}` is borrowed, and {}", declares(.path, .declared))]
    Astray {
        /// The path.
        path: String,
        /// What is declared beside it.
        declared: Vec<String>,
    },
    /// A path into a field by which a layer names a grouped dimension that is only laid out later.
    #[error(
        "`{path}` is borrowed by a layer before its layout: write the field of that layer after the one that it borrows from, or \
         put the `HeadLayout` into the struct that has both"
    )]
    Late {
        /// The path.
        path: String,
    },
}

fn declares(path: &str, declared: &[String]) -> String {
    let place = path.rsplit_once('.').map_or("the model", |(place, _)| place);
    match declared {
        [] => format!("`{place}` declares no dimension"),
        names => format!("`{place}` declares only `{}`", names.join("` and `")),
    }
}

/// What to write where `dimension`, which is grouped by `groups`, has `units` units and not those of the layer `first`, or of its
/// layout.
fn instead(units: usize, dimension: &Dimension, first: Option<&str>, groups: Option<&str>) -> String {
    let times = |more: usize, less: usize| more.checked_div(less).filter(|times| less * times == more);
    let list = groups.into_iter().chain([dimension.name()]).collect::<Vec<_>>().join(", ");
    match (times(units, dimension.units()), times(dimension.units(), units), first) {
        (Some(times), ..) => {
            format!(
                "if each unit has {times} features there, write that count too, as in `[{times}, {list}]`"
            )
        }
        (_, Some(times), Some(first)) => {
            format!(
                "if each unit has {times} features at `{first}`, write that count there, as in `[{times}, {list}]`"
            )
        }
        (.., Some(_)) => {
            "if they are the same units, give both layers that size; if not, give one another name".to_owned()
        }
        (.., None) => "is its `HeadLayout` made for the heads and dims of this layer?".to_owned(),
    }
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
        // Either makes a dimension of a path that is none, whose sizes may be wrong too.
        if let Some((path, declared)) = self.scope.astray() {
            return Err(DimensionError::Astray { path, declared });
        }
        if let Some(path) = self.scope.late() {
            return Err(DimensionError::Late { path: path.clone() });
        }
        self.error.map_or(Ok(self.dimensions), Err)
    }

    fn refuse<S: Side>(&mut self, axis: DimensionAxis, side: S, reason: String) {
        let DimensionAxis { dimension, layer, .. } = axis;
        self.error.get_or_insert(DimensionError::Side { layer, side: side.name(), dimension, reason });
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
            let reason = format!(
                "it has {extent} features, not a multiple of the {features_per_unit} per unit that its axis says: is a count in the \
                 axis too many, or the layer made too small?"
            );
            self.refuse(axis, side, reason);
            return layer;
        }
        let units = extent / features_per_unit;
        // All features, and those without one unit, whichever.
        let first_left = [0, 1].map(|first| axis.features(&(first..units).collect::<Vec<_>>(), units));
        if let Err(reason) = first_left.iter().try_for_each(|kept| layer.check(side, kept)) {
            self.refuse(axis, side, reason);
            return layer;
        }
        let known = self.dimensions.iter().position(|known| known.path == axis.dimension);
        let index = known.unwrap_or_else(|| self.add(&axis.dimension, DimensionKind::Features, vec![units]));
        let dimension = &mut self.dimensions[index];
        if dimension.units() != units {
            let first = dimension.carriers.first().map(|first| first.layer.as_str());
            let place = first.map_or_else(|| "in its layout".to_owned(), |first| format!("at `{first}`"));
            let reason = format!(
                "it has {units} units there, but {} {place}: {}",
                dimension.units(),
                instead(units, dimension, first, self.scope.groups_of(&dimension.path))
            );
            self.refuse(axis, side, reason);
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
        if axis.gated {
            let reason = "its axis names only the groups, but masks multiply units: remove its `gate`";
            self.refuse(axis, side, reason.to_owned());
        } else if extent != groups * axis.features_per_unit() {
            let reason = format!(
                "it has {extent} features, but its axis names only the {groups} groups: name their units too, if each has its own"
            );
            self.refuse(axis, side, reason);
        }
        layer
    }
}
