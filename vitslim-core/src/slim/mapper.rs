//! The one traversal of a model that everything else is built on.
//!
//! A *dimension* is a named set of prunable units of a module: the hidden units of an MLP, the dims of its attention heads, the token
//! positions that enter a block. `#[derive(Slimmable)]` writes [`Slimmable::map_dimensions`](super::Slimmable::map_dimensions), which hands
//! every annotated part of a model to a [`DimensionMapper`]. To describe, gate, slice or count a model is one mapper each.

use super::bounds::{HasAxis, Is, IsModule};
use super::head_layout::HeadLayout;
use super::layer::{Side, SlimLayer};
use super::token_gate::TokenGate;

/// One factor of an axis, outermost first: `[3, heads, head_dim]` is `Count(3), Groups("heads"), Units("head_dim")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// A plain number of repetitions, also one read from a `usize` field.
    Count(usize),
    /// The groups of a grouped dimension: of the one that follows, or without one the axis has an entry for each group.
    Groups(&'static str),
    /// The units of a dimension.
    Units(&'static str),
}

/// An axis, resolved: feature `(r * units + u) * inner + i` of a layer's side belongs to unit `u`, for every `r` below
/// `outer` and `i` below `inner`. On an axis of groups it is groups that are counted so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionAxis {
    /// Path of the dimension, for example `blocks.3.attn.head_dim`.
    pub dimension: String,
    /// Path of the layer, for example `blocks.3.attn.qkv`.
    pub layer: String,
    /// Product of the factors before the dimension.
    pub outer: usize,
    /// Product of the factors after the dimension.
    pub inner: usize,
    /// Whether the dimension's mask multiplies here.
    pub gated: bool,
}

impl DimensionAxis {
    /// Number of features that belong to one unit.
    pub fn features_per_unit(&self) -> usize {
        self.outer * self.inner
    }

    /// The features of all units but the first, of a side with `extent` features.
    pub(crate) fn without_first(&self, extent: usize) -> Vec<usize> {
        let units = extent.checked_div(self.features_per_unit()).unwrap_or(0);
        self.features(&(1..units).collect::<Vec<_>>(), units)
    }

    /// The features that belong to `units` (or groups) of a dimension with `of` of them, in the layer's order.
    pub fn features(&self, units: &[usize], of: usize) -> Vec<usize> {
        (0..self.outer)
            .flat_map(|outer| {
                units.iter().flat_map(move |unit| {
                    (0..self.inner).map(move |inner| (outer * of + unit) * self.inner + inner)
                })
            })
            .collect()
    }
}

/// What a traversal does with the parts of a model: one implementation for each thing that can be done to dimensions.
///
/// An implementation keeps a [`Scope`] and says what happens to a layout, a token gate and an axis; what it does not speak
/// of stays as it is. The other methods are called by the code that the derive writes.
pub trait DimensionMapper: Sized {
    /// Where the traversal stands.
    fn scope(&mut self) -> &mut Scope;

    /// The layout of the grouped dimension at the path given. Always comes before that dimension's axes.
    fn map_layout(&mut self, _: &str, layout: HeadLayout) -> HeadLayout {
        layout
    }

    /// The token gate of the dimension at the path given.
    fn map_tokens(&mut self, _: &str, gate: TokenGate) -> TokenGate {
        gate
    }

    /// One annotated axis of a layer.
    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, _: DimensionAxis, layer: L, _: S) -> L {
        layer
    }

    /// An annotated axis with an entry for each group of a dimension, and none for its units: a bias of each head. Masks
    /// multiply units, so that none acts here; what changes the groups of the layout must change this axis alike.
    fn map_groups_axis<S: Side, L: SlimLayer<S>>(&mut self, _: DimensionAxis, layer: L, _: S) -> L {
        layer
    }

    /// Opens the scope of the struct `T`, which declares `dimensions`.
    #[doc(hidden)]
    fn open<T: IsModule>(&mut self, dimensions: &[&'static str]) {
        self.scope().open(dimensions);
    }

    /// Opens a scope in which each name means the dimension at a path, relative to where the traversal stands. For a
    /// traversal written by hand, of a model whose dimension the derive cannot name: the width of a stage that the next
    /// stage reads too ([`Swin`](crate::models::Swin)).
    fn lend(&mut self, dimensions: &[(&'static str, String)]) {
        self.scope().lend(dimensions);
    }

    /// Closes the scope opened last.
    #[doc(hidden)]
    fn close(&mut self) {
        self.scope().close();
    }

    /// Goes into the field `name`.
    #[doc(hidden)]
    fn enter(&mut self, name: &str) {
        self.scope().path.push(name.to_owned());
    }

    /// Leaves the field entered last.
    #[doc(hidden)]
    fn exit(&mut self) {
        self.scope().path.pop();
    }

    /// The layout field of the dimension `dimension`, declared by the struct that stands open, in groups named `groups`.
    #[doc(hidden)]
    fn layout<L: Is<HeadLayout>>(&mut self, groups: &'static str, dimension: &'static str, layout: L) -> L {
        self.scope().declare_groups(groups, dimension);
        match self.scope().resolve(dimension) {
            Some(resolved) => layout.apply(|layout| self.map_layout(&resolved.path, layout)),
            None => layout,
        }
    }

    /// The token gate in the field `field`.
    #[doc(hidden)]
    fn tokens<G: Is<TokenGate>>(&mut self, field: &str, gate: G) -> G {
        let path = self.scope().path_of(field);
        gate.apply(|gate| self.map_tokens(&path, gate))
    }

    /// The axis `factors` of the layer in the field `field`. A borrowed dimension that no enclosing struct declares is
    /// not prunable there: the layer stays as it is.
    #[doc(hidden)]
    fn axis<S: Side, L: HasAxis<S>>(
        &mut self,
        field: &str,
        layer: L,
        side: S,
        factors: &[Factor],
        gated: bool,
    ) -> L {
        let (mut outer, mut inner, mut dimension) = (1, 1, None);
        for factor in factors {
            match factor {
                Factor::Count(count) if dimension.is_none() => outer *= count,
                Factor::Count(count) => inner *= count,
                Factor::Groups(name) | Factor::Units(name) => dimension = Some(*name),
            }
        }
        let Some(resolved) = dimension.and_then(|name| self.scope().resolve(name)) else {
            return layer;
        };
        let layer_path = self.scope().path_of(field);
        let axis = DimensionAxis { dimension: resolved.path, layer: layer_path, outer, inner, gated };
        match resolved.is_groups {
            true => self.map_groups_axis(axis, layer, side),
            false => self.map_axis(axis, layer, side),
        }
    }
}

/// Where a traversal stands: the path of fields, and the dimensions that the enclosing structs declare.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    path: Vec<String>,
    declared: Vec<Declared>,
    undeclared: Vec<String>,
}

/// What a struct declares.
#[derive(Clone, Debug)]
struct Declared {
    /// Names of dimensions, each with its path.
    dimensions: Vec<(&'static str, String)>,
    /// Names of groups, each with the dimension that they group.
    groups: Vec<(&'static str, &'static str)>,
}

/// What a name stands for.
pub(crate) struct Resolved {
    /// Path of the dimension.
    pub(crate) path: String,
    /// Whether the name is that of its groups.
    pub(crate) is_groups: bool,
}

impl Scope {
    fn open(&mut self, dimensions: &[&'static str]) {
        let dimensions: Vec<_> = dimensions.iter().map(|name| (*name, (*name).to_owned())).collect();
        self.lend(&dimensions);
    }

    fn lend(&mut self, dimensions: &[(&'static str, String)]) {
        let dimensions = dimensions.iter().map(|(name, path)| (*name, self.path_of(path))).collect();
        self.declared.push(Declared { dimensions, groups: Vec::new() });
    }

    fn declare_groups(&mut self, groups: &'static str, dimension: &'static str) {
        if let Some(declared) = self.declared.last_mut() {
            declared.groups.push((groups, dimension));
        }
    }

    fn close(&mut self) {
        self.declared.pop();
    }

    /// Path of `field` of the struct that stands open.
    fn path_of(&self, field: &str) -> String {
        join(&self.path, field)
    }

    /// The dimension `name`, or the one whose groups are called so, as the innermost enclosing struct declares it.
    pub(crate) fn resolve(&mut self, name: &str) -> Option<Resolved> {
        let resolved = self.declared.iter().rev().find_map(|declared| {
            let path_of =
                |name| declared.dimensions.iter().find(|(own, _)| *own == name).map(|(_, path)| path);
            let groups = declared.groups.iter().find(|(groups, _)| *groups == name);
            let own = path_of(name);
            let path = own.or_else(|| path_of(groups?.1))?;
            Some(Resolved { path: path.clone(), is_groups: own.is_none() })
        });
        if resolved.is_none() {
            let path = self.path_of(name);
            if !self.undeclared.contains(&path) {
                self.undeclared.push(path);
            }
        }
        resolved
    }

    /// Paths of the borrowed dimensions met so far that no enclosing struct declares.
    pub fn undeclared(&self) -> &[String] {
        &self.undeclared
    }
}

fn join(path: &[String], name: &str) -> String {
    path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
}
