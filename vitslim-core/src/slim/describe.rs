//! Reads the dimensions of a model from the model itself.

use burn::module::Module;
use thiserror::Error;

use super::axis::{AxisDimension, DimensionAxis};
use super::branch_gate::BranchGate;
use super::dimension::{Carrier, Dimension, DimensionKind};
use super::head_layout::{HeadLayout, LaidOut};
use super::layer::{Side, SlimLayer};
use super::mapper::{DimensionMapper, End};
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
    /// A layout that does not have its dimensions.
    #[error("the layout of `{dimension}` contradicts its annotation: {reason}")]
    Layout {
        /// Path of the dimension.
        dimension: String,
        /// Why.
        reason: String,
    },
    /// A sum of dimensions whose sizes nothing tells.
    #[error(
        "the features of `{layer}` are several dimensions, and nothing says how many of them are of `{dimension}`: a layer is needed \
         that has `{}` alone", dimension.rsplit('.').next().unwrap_or(dimension)
    )]
    Unsized {
        /// Path of the layer.
        layer: String,
        /// Path of the dimension.
        dimension: String,
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
    /// A branch at whose end there is no layer.
    #[error(
        "no layer ends the branch `{path}`, so that nothing could carry its mask: write `end` on the layer that computes what it adds, as in \
         `#[slim(input = [hidden], end)]`, in the struct that has the layer; it must be in the fields that `branch` lists"
    )]
    Endless {
        /// Path of the branch.
        path: String,
    },
    /// A token gate in a branch.
    #[error(
        "the token gate `{gate}` is in the branch `{branch}`, and what a branch is added to has other tokens: keep tokens before the branch, in \
         a field that it does not list"
    )]
    TokensInside {
        /// Path of the gate.
        gate: String,
        /// Path of the branch.
        branch: String,
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

/// What to write where a dimension has `units` units and not the `known` ones of the layer `first`, or of its layout. `list` is what
/// an axis calls it.
fn instead([units, known]: [usize; 2], first: Option<&str>, list: &str) -> String {
    let times =
        |more: usize, less: usize| more.checked_div(less).filter(|times| *times > 1 && less * times == more);
    match (times(units, known), times(known, units), first) {
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
pub(super) struct Describe {
    scope: Scope,
    dimensions: Vec<Dimension>,
    /// Paths of the branches that have parameters.
    filled: Vec<String>,
    error: Option<DimensionError>,
}

impl Describe {
    pub(super) fn new(scope: Scope) -> Self {
        Self { scope, dimensions: Vec::new(), filled: Vec::new(), error: None }
    }

    /// What was found.
    pub(super) fn finish(mut self) -> Result<Vec<Dimension>, DimensionError> {
        // Either makes a dimension of a path that is none, whose sizes may be wrong too.
        if let Some((path, declared)) = self.scope.astray() {
            return Err(DimensionError::Astray { path, declared });
        }
        if let Some(path) = self.scope.late() {
            return Err(DimensionError::Late { path: path.clone() });
        }
        if let Some(error) = self.error {
            return Err(error);
        }
        if let Some((layer, dimension)) = self.scope.lacking().cloned() {
            return Err(DimensionError::Unsized { layer, dimension });
        }
        for branch in self.dimensions.iter_mut().filter(|of| of.is_branch() && of.carriers.is_empty()) {
            if self.filled.contains(&branch.path) {
                return Err(DimensionError::Endless { path: branch.path.clone() });
            }
            // Its layers are optional, and this network has none of them.
            branch.groups.clear();
        }
        Ok(self.dimensions)
    }

    fn refuse<S: Side>(&mut self, axis: &DimensionAxis, side: S, reason: String) {
        let (layer, side, dimension) = (axis.layer.clone(), side.name(), axis.names());
        self.error.get_or_insert(DimensionError::Side { layer, side, dimension, reason });
    }

    /// Why a side of `extent` features is not what `axis` says.
    fn disagrees(&self, axis: &DimensionAxis, extent: usize) -> Option<String> {
        let dimensions: Vec<&AxisDimension> = axis.dimensions().collect();
        let [dimension] = dimensions.as_slice() else {
            let sizes = dimensions.iter().enumerate().map(|(index, dimension)| {
                let what = if index == 0 { " units" } else { "" };
                format!("{}{what} of `{}`", dimension.groups.iter().sum::<usize>(), dimension.path)
            });
            let sizes = sizes.collect::<Vec<_>>().join(" and ");
            return (axis.extent() != extent).then(|| {
                format!("it has {extent} features, but its axis has {}, with {sizes}", axis.extent())
            });
        };
        let Some(each) = axis.features_per_unit(&dimension.path) else {
            let groups = dimension.groups.len();
            return (axis.extent() != extent)
                .then(|| format!("it has {extent} features, but its axis names only the {groups} groups: name their units too, if each has its own"));
        };
        let is_plain = axis.outer_and_inner().is_some();
        if each == 0 || (is_plain && !extent.is_multiple_of(each)) {
            return Some(format!(
                "it has {extent} features, not a multiple of the {each} per unit that its axis says: is a count in the axis too many, or \
                 the layer made too small?"
            ));
        }
        if !is_plain {
            return (axis.extent() != extent)
                .then(|| format!("it has {extent} features, but its axis has {}", axis.extent()));
        }
        let (units, known) = (extent / each, dimension.groups.iter().sum::<usize>());
        (units != known).then(|| {
            let carriers = self.dimensions.iter().find(|known| known.path == dimension.path);
            let first = carriers.and_then(|known| known.carriers.first()).map(|first| first.layer.as_str());
            let place = first.map_or_else(|| "in its layout".to_owned(), |first| format!("at `{first}`"));
            let (_, name) = dimension.path.rsplit_once('.').unwrap_or(("", &dimension.path));
            let list = self.scope.groups_of(&dimension.path).into_iter().chain([name]).collect::<Vec<_>>();
            let instead = instead([units, known], first, &list.join(", "));
            format!("it has {units} units there, but {known} {place}: {instead}")
        })
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

    fn map_layout(&mut self, laid_out: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        if let (Some(reason), Some(first)) = (layout.contradicts(laid_out), laid_out.first()) {
            let dimension = first.dimension.clone();
            self.error.get_or_insert(DimensionError::Layout { dimension, reason });
        }
        for (laid_out, units) in laid_out.iter().zip(layout.units(laid_out)) {
            self.add(&laid_out.dimension, DimensionKind::Features, units);
        }
        layout
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        if let Some(branch) = self.scope.branches.around(dimension).into_iter().next() {
            self.error.get_or_insert(DimensionError::TokensInside { gate: dimension.to_owned(), branch });
        }
        match gate.tokens.checked_sub(gate.prefix) {
            Some(units) => {
                let kind = DimensionKind::Tokens { prefix: gate.prefix, numbers: gate.numbers() };
                self.add(dimension, kind, vec![units]);
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

    fn map_branch(&mut self, dimension: &str, gate: BranchGate) -> BranchGate {
        self.add(dimension, DimensionKind::Branch, if gate.is_cut { vec![] } else { vec![1] });
        gate
    }

    fn map_part<T: Module>(&mut self, _: &str, branches: &[String], part: T) -> T {
        if part.num_params() > 0 {
            self.filled.extend_from_slice(branches);
        }
        part
    }

    fn map_end<S: Side, L: SlimLayer<S>>(&mut self, end: End, layer: L, side: S) -> L {
        for dimension in self.dimensions.iter_mut().filter(|dimension| end.branches.contains(&dimension.path))
        {
            dimension.carriers.push(Carrier {
                layer: end.layer.clone(),
                side: side.name(),
                features_per_unit: layer.extent(side),
                gated: true,
                branches: end.branches.clone(),
            });
        }
        layer
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        if let Some(reason) = self.disagrees(&axis, layer.extent(side)) {
            self.refuse(&axis, side, reason);
            return layer;
        }
        let carried: Vec<(&AxisDimension, usize)> = axis
            .dimensions()
            .filter_map(|dimension| Some((dimension, axis.features_per_unit(&dimension.path)?)))
            .collect();
        if axis.gated && carried.is_empty() {
            let reason = "its axis names only the groups, but masks multiply units: remove its `gate`";
            self.refuse(&axis, side, reason.to_owned());
        }
        // All features, and those without one unit, whichever.
        let without = carried.iter().map(|(dimension, _)| axis.without_first(&dimension.path));
        let mut left = without.chain((!carried.is_empty()).then(|| axis.left(|_| None)));
        if let Err(reason) = left.try_for_each(|left| layer.check(side, &left)) {
            self.refuse(&axis, side, reason);
            return layer;
        }
        let branches = self.scope.branches.around(&axis.layer);
        for (dimension, features_per_unit) in carried {
            let known = self.dimensions.iter().position(|known| known.path == dimension.path);
            let index = known.unwrap_or_else(|| {
                self.add(&dimension.path, DimensionKind::Features, dimension.groups.clone())
            });
            self.dimensions[index].carriers.push(Carrier {
                layer: axis.layer.clone(),
                side: side.name(),
                features_per_unit,
                gated: axis.gated,
                branches: branches.clone(),
            });
        }
        layer
    }
}
