//! The one traversal of a model that everything else is built on.
//!
//! A *dimension* is a named set of prunable units of a module: the hidden units of an MLP, the dims of its attention heads,
//! the token positions that enter a block. `#[derive(Slimmable)]` writes
//! [`Slimmable::map_dimensions`](super::Slimmable::map_dimensions), which hands every annotated part of a model to a
//! [`DimensionMapper`]. To describe, gate, slice or count a model is one mapper each.

use burn::module::Module;

use super::axis::DimensionAxis;
use super::bounds::{HasAxis, Is, IsModule};
use super::branch_gate::BranchGate;
use super::head_layout::{HeadLayout, LaidOut};
use super::layer::{Side, SlimLayer};
use super::resolve::{self, Factor};
use super::scope::{Lent, Scope};
use super::token_gate::TokenGate;
use super::treatment::Treatment;

/// A layer at the end of branches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// Path of the layer.
    pub layer: String,
    /// Paths of the branches, which are those of their gates.
    pub branches: Vec<String>,
}

/// What a traversal does with the parts of a model: one implementation for each operation on dimensions.
///
/// An implementation keeps a [`Scope`] and overrides what happens to a layout, a token gate or an axis; by default each stays
/// as it is. The other methods are called by the code that the derive writes, or by a traversal written by hand.
pub trait DimensionMapper: Sized {
    /// Where the traversal is.
    fn scope(&mut self) -> &mut Scope;

    /// A layout, and the dimensions that it lays out: one, or that of queries and keys and then that of values. It always comes
    /// before their axes.
    fn map_layout(&mut self, _: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        layout
    }

    /// The token gate of the dimension at a path.
    fn map_tokens(&mut self, _: &str, gate: TokenGate) -> TokenGate {
        gate
    }

    /// One annotated axis of a layer. It may have an entry for each group of a dimension instead of each unit: a bias for each
    /// head, say. Masks multiply units, so none applies there, but whatever changes the groups of a layout changes it too.
    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, _: DimensionAxis, layer: L, _: S) -> L {
        layer
    }

    /// The gate of the branch at a path.
    fn map_branch(&mut self, _: &str, gate: BranchGate) -> BranchGate {
        gate
    }

    /// A layer at the end of the branches at these paths: all features of the side are what they add.
    fn map_end<S: Side, L: SlimLayer<S>>(&mut self, _: End, layer: L, _: S) -> L {
        layer
    }

    /// The field at a path, which has been mapped, of the branches whose gates are at the other paths.
    fn map_part<T: Module>(&mut self, _: &str, _: &[String], part: T) -> T {
        part
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

    /// The layout field of `dimensions`, which the current struct declares, in groups named `groups`. Each has its name, and how many
    /// features of a head belong to a unit.
    fn layout<L: Is<HeadLayout>>(
        &mut self,
        groups: &'static str,
        dimensions: &[(&'static str, usize)],
        layout: L,
    ) -> L {
        let here = self.scope().path_of(groups);
        if self.scope().branches.are_cut_at(&here) {
            return layout;
        }
        let laid_out = |(name, features_per_unit): &(&'static str, usize)| {
            let dimension = self.scope().resolve(name)?.path;
            Some(LaidOut { dimension, features_per_unit: *features_per_unit })
        };
        let Some(laid_out) = dimensions.iter().map(laid_out).collect::<Option<Vec<_>>>() else {
            return layout;
        };
        let paths = laid_out.iter().map(|laid_out| laid_out.dimension.clone()).collect();
        self.scope().declare_groups(groups, paths);
        layout.apply(|layout| {
            for (laid_out, units) in laid_out.iter().zip(layout.units(&laid_out)) {
                self.scope().learn(&laid_out.dimension, units);
            }
            self.map_layout(&laid_out, layout)
        })
    }

    /// The token gate in the field `field`.
    fn tokens<G: Is<TokenGate>>(&mut self, field: &str, gate: G) -> G {
        let path = self.scope().path_of(field);
        match self.scope().branches.are_cut_at(&path) {
            true => gate,
            false => gate.apply(|gate| self.map_tokens(&path, gate)),
        }
    }

    /// The gate in the field `field`, of the branch that has the fields `parts` of the current struct. It comes before all that these have.
    fn branch<G: Is<BranchGate>>(&mut self, field: &str, parts: &[&str], gate: G) -> G {
        let path = self.scope().path_of(field);
        let parts = parts.iter().map(|part| self.scope().path_of(part)).collect();
        // A branch inside one that is cut has no say.
        if self.scope().branches.are_cut_at(&path) {
            return gate;
        }
        gate.apply(|gate| {
            let gate = self.map_branch(&path, gate);
            self.scope().branches.add(path, parts, gate.is_cut);
            gate
        })
    }

    /// The field `field`, a part of a branch, after whatever is mapped in it.
    fn part<T: Module>(&mut self, field: &str, part: T) -> T {
        let path = self.scope().path_of(field);
        let branches = self.scope().branches.of_field(&path);
        self.map_part(&path, &branches, part)
    }

    /// The layer in the field `field`, whose `side` is at the end of the branches around it.
    fn end<S: Side, L: HasAxis<S>>(&mut self, field: &str, layer: L, side: S) -> L {
        let layer_path = self.scope().path_of(field);
        let branches = self.scope().branches.around(&layer_path);
        match branches.is_empty() || self.scope().branches.are_cut_at(&layer_path) {
            true => layer,
            false => self.map_end(End { layer: layer_path, branches }, layer, side),
        }
    }

    /// The axis `factors` of the layer in the field `field`, where masks multiply if it is `gated`. If it is of borrowed
    /// dimensions that no enclosing struct declares, it is not prunable, and the layer stays as it is.
    fn axis<S: Side, L: HasAxis<S>>(
        &mut self,
        field: &str,
        layer: L,
        side: S,
        factors: &[Factor],
        gated: bool,
    ) -> L {
        let path = self.scope().path_of(field);
        if self.scope().branches.are_cut_at(&path) {
            return layer;
        }
        match resolve::axis(self.scope(), field, factors, layer.extent(side), gated) {
            Some(axis) => self.map_axis(axis, layer, side),
            None => layer,
        }
    }
}
