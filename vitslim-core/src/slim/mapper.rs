//! The one traversal of a model that everything else is built on.
//!
//! A *dimension* is a named set of prunable units of a module: the hidden units of an MLP, the dims of its attention heads,
//! the token positions that enter a block. `#[derive(Slimmable)]` writes
//! [`Slimmable::map_dimensions`](super::Slimmable::map_dimensions), which hands every annotated part of a model to a
//! [`DimensionMapper`]. To describe, gate, slice or count a model is one mapper each.

use super::bounds::{HasAxis, Is, IsModule};
use super::head_layout::HeadLayout;
use super::layer::{Side, SlimLayer};
use super::scope::{Lent, Scope};
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
/// as it is. The other methods are called by the code that the derive writes, or by a traversal written by hand.
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
    /// written by hand, which calls [`close`](Self::close) at its end.
    fn lend(&mut self, dimensions: &[(&'static str, String)]) {
        self.scope().lend(dimensions);
    }

    /// Opens a scope in which each name stands for what `field`, which is entered next, is lent by it.
    #[doc(hidden)]
    fn lend_as(&mut self, field: &str, lent: &[(&'static str, Lent)]) {
        self.scope().lend_as(field, lent);
    }

    /// Lets `name` stand for what is declared at `path`, inside a field of the current struct.
    #[doc(hidden)]
    fn inside(&mut self, name: &'static str, path: &str) {
        self.scope().inside(name, path);
    }

    /// Closes the scope opened last.
    fn close(&mut self) {
        self.scope().close();
    }

    /// Goes into the field `name`.
    fn enter(&mut self, name: &str) {
        self.scope().enter(name);
    }

    /// Leaves the field entered last.
    fn exit(&mut self) {
        self.scope().exit();
    }

    /// The layout field of `dimension`, which the current struct declares, in groups named `groups`.
    fn layout<L: Is<HeadLayout>>(&mut self, groups: &'static str, dimension: &'static str, layout: L) -> L {
        self.scope().declare_groups(groups, dimension);
        match self.scope().resolve(dimension) {
            Some(resolved) => layout.apply(|layout| self.map_layout(&resolved.path, layout)),
            None => layout,
        }
    }

    /// The token gate in the field `field`.
    fn tokens<G: Is<TokenGate>>(&mut self, field: &str, gate: G) -> G {
        let path = self.scope().path_of(field);
        gate.apply(|gate| self.map_tokens(&path, gate))
    }

    /// The axis `factors` of the layer in the field `field`, where masks multiply if it is `gated`. If it is of a borrowed
    /// dimension that no enclosing struct declares, it is not prunable, and the layer stays as it is.
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
