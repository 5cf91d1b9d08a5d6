//! The one traversal of a model that everything else is built on.
//!
//! A *dimension* is a named set of prunable units of a module: the hidden units of an MLP, the dims of its attention heads,
//! the token positions that enter a block. `#[derive(Slimmable)]` writes
//! [`Slimmable::map_dimensions`](super::Slimmable::map_dimensions), which hands every annotated part of a model to a
//! [`DimensionMapper`]. To describe, gate, slice or count a model is one mapper each.

use super::bounds::{HasAxis, Is, IsModule};
use super::head_layout::HeadLayout;
use super::layer::{Side, SlimLayer};
use super::token_gate::TokenGate;
use super::treatment::Treatment;

/// A factor of an axis. Written outermost first, `[3, heads, head_dim]` is `Count(3), Groups("heads"), Units("head_dim")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor {
    /// A number of repetitions: a literal, or a `usize` field.
    Count(usize),
    /// The groups of a grouped dimension: of the units that follow; or, if none follow, the axis has one entry for each group.
    Groups(&'static str),
    /// The units of a dimension.
    Units(&'static str),
}

/// A resolved axis: feature `(r * units + u) * inner + i` of a layer's side belongs to unit `u`, for every `r` below `outer`
/// and `i` below `inner`. On an axis of groups, `u` counts groups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DimensionAxis {
    /// Path of the dimension: `blocks.3.attn.head_dim`.
    pub dimension: String,
    /// Path of the layer: `blocks.3.attn.qkv`.
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

    /// The features of every unit but the first, of a side with `extent` features.
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

/// What a traversal does with the parts of a model: one implementation for each operation on dimensions.
///
/// An implementation keeps a [`Scope`] and overrides what happens to a layout, a token gate or an axis; by default each stays
/// as it is. The other methods are called by the code that the derive writes.
pub trait DimensionMapper: Sized {
    /// Where the traversal is.
    fn scope(&mut self) -> &mut Scope;

    /// The layout of the grouped dimension at a path. It always comes before the axes of that dimension.
    fn map_layout(&mut self, _: &str, layout: HeadLayout) -> HeadLayout {
        layout
    }

    /// The token gate of the dimension at a path.
    fn map_tokens(&mut self, _: &str, gate: TokenGate) -> TokenGate {
        gate
    }

    /// One annotated axis of a layer.
    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, _: DimensionAxis, layer: L, _: S) -> L {
        layer
    }

    /// One annotated axis with an entry for each group of a dimension instead of each unit: a bias for each head, say. Masks
    /// multiply units, so none applies here, but whatever changes the groups of the layout must change this axis too.
    fn map_groups_axis<S: Side, L: SlimLayer<S>>(&mut self, _: DimensionAxis, layer: L, _: S) -> L {
        layer
    }

    /// How training treats the parameters of the field `field` of the current struct, whatever it is made of.
    fn treat(&mut self, _field: &str, _: &[Treatment]) {}

    /// Opens the scope of the struct `T`, which declares `dimensions`.
    #[doc(hidden)]
    fn open<T: IsModule>(&mut self, dimensions: &[&'static str]) {
        self.scope().open(dimensions);
    }

    /// Opens a scope in which each name stands for the dimension at a path, relative to where the traversal is. For a traversal
    /// written by hand, of a model with a dimension that the derive cannot name, such as the width of a stage that the next
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
        let scope = self.scope();
        scope.too_many_ends |= scope.path.pop().is_none();
    }

    /// The layout field of `dimension`, which the current struct declares, in groups named `groups`.
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

    /// The axis `factors` of the layer in the field `field`. If it is of a borrowed dimension that no enclosing struct
    /// declares, it is not prunable, and the layer stays as it is.
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

/// Where a traversal is: the path of fields, and the dimensions that the enclosing structs declare.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    path: Vec<String>,
    declared: Vec<Declared>,
    undeclared: Vec<String>,
    /// Whether more was closed or left than was opened or entered.
    too_many_ends: bool,
}

/// The dimensions that a struct declares.
#[derive(Clone, Debug)]
struct Declared {
    /// Name and path of each dimension.
    dimensions: Vec<(&'static str, String)>,
    /// Name of the groups of each grouped dimension, and the name of that dimension.
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
        self.too_many_ends |= self.declared.pop().is_none();
    }

    /// Why the traversal did not end where it began, if a part of it that is written by hand does not close what it opens.
    pub(crate) fn unbalanced(&self) -> Option<String> {
        let names = |declared: &Declared| {
            let names: Vec<String> =
                declared.dimensions.iter().map(|(_, path)| format!("`{path}`")).collect();
            if names.is_empty() { "a struct".to_owned() } else { names.join(", ") }
        };
        match (self.declared.last(), self.path.as_slice(), self.too_many_ends) {
            (None, [], false) => None,
            (Some(open), ..) => Some(format!("the scope of {} is never closed", names(open))),
            (None, [.., field], _) => Some(format!("the field `{field}` is entered and never left")),
            (None, [], true) => Some("more scopes are closed, or fields left, than were opened".to_owned()),
        }
    }

    /// Path of `field` of the current struct.
    pub(crate) fn path_of(&self, field: &str) -> String {
        join(&self.path, field)
    }

    /// The dimension called `name`, or whose groups are called so, in the innermost enclosing struct that declares one.
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

    /// Paths of the borrowed dimensions found so far that no enclosing struct declares.
    pub fn undeclared(&self) -> &[String] {
        &self.undeclared
    }
}

fn join(path: &[String], name: &str) -> String {
    path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
}
