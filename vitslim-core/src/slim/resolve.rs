//! From the factors of an axis to the dimensions that its names stand for where the traversal is.

use super::axis::{AxisDimension, DimensionAxis, Features};
use super::scope::{Resolved, Scope};

/// A factor of an axis. Written outermost first, `[3, heads, head_dim]` is `Count(3), Groups("heads"), Units("head_dim")`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Factor<'a> {
    /// A number of repetitions: a literal, or a `usize` field.
    Count(usize),
    /// The groups of a grouped dimension, whose units follow; or, if none follow, the axis has one entry for each group.
    Groups(&'static str),
    /// The units of a dimension.
    Units(&'static str),
    /// Lists of factors side by side: `[a + (2, b)]` is `Sum(&[&[Units("a")], &[Count(2), Units("b")]])`.
    Sum(&'a [&'a [Factor<'a>]]),
}

/// The axis `factors` of the layer in the field `field`, whose side has `extent` features. `None` if no enclosing struct declares
/// any of its dimensions, or if it is not known yet how large they are.
pub(super) fn axis(
    scope: &mut Scope,
    field: &str,
    factors: &[Factor],
    extent: usize,
    gated: bool,
) -> Option<DimensionAxis> {
    let mut resolving = Resolving { scope, dimensions: Vec::new(), unknown: Vec::new() };
    let features = resolving.product(factors, Features::One);
    let Resolving { dimensions, unknown, .. } = resolving;
    let layer = scope.path_of(field);
    let mut axis = DimensionAxis { layer, gated, dimensions, features };
    let is_prunable = axis.dimensions().next().is_some();
    match unknown.as_slice() {
        [] => {}
        [unknown] => {
            let units = axis.units_of(*unknown, extent);
            let dimension = &mut axis.dimensions[*unknown];
            dimension.groups = vec![units];
            scope.learn(&dimension.path, dimension.groups.clone());
        }
        [first, ..] => {
            if is_prunable {
                scope.lack(axis.layer, axis.dimensions[*first].path.clone());
            }
            return None;
        }
    }
    is_prunable.then_some(axis)
}

struct Resolving<'a> {
    scope: &'a mut Scope,
    dimensions: Vec<AxisDimension>,
    /// Numbers of the dimensions whose size nothing has told so far.
    unknown: Vec<usize>,
}

impl Resolving<'_> {
    /// The features of `factors`, each of which is `inside`.
    fn product(&mut self, factors: &[Factor], inside: Features) -> Features {
        factors.iter().rev().fold(inside, |inside, factor| match factor {
            Factor::Count(count) => inside.times(*count),
            Factor::Sum(terms) => {
                Features::Sum(terms.iter().map(|term| self.product(term, inside.clone())).collect())
            }
            Factor::Groups(name) | Factor::Units(name) => self.named(name, inside),
        })
    }

    fn named(&mut self, name: &'static str, inside: Features) -> Features {
        let within = units(&inside);
        match self.scope.stands_for(name) {
            Ok(Resolved { path, is_groups: true }) => {
                let of_this_layout =
                    |unit: &usize| self.scope.are_laid_out_together(&path, &self.dimensions[*unit].path);
                match within.first() {
                    None => Features::Groups(self.number(path, true), inside.into()),
                    Some(first) if within.iter().all(of_this_layout) => {
                        Features::Groups(*first, inside.into())
                    }
                    Some(_) => inside,
                }
            }
            // Only groups have units within.
            _ if !within.is_empty() => inside,
            Ok(Resolved { path, .. }) => Features::Units(self.number(path, true), inside.into()),
            Err(path) => {
                self.scope.miss(&path);
                Features::Units(self.number(path, false), inside.into())
            }
        }
    }

    /// The number of the dimension at `path` among those of the axis.
    fn number(&mut self, path: String, is_declared: bool) -> usize {
        if let Some(known) = self.dimensions.iter().position(|dimension| dimension.path == path) {
            return known;
        }
        let number = self.dimensions.len();
        let groups = self.scope.sizes(&path).map(<[usize]>::to_vec);
        if groups.is_none() {
            self.unknown.push(number);
        }
        self.dimensions.push(AxisDimension { path, groups: groups.unwrap_or_else(|| vec![0]), is_declared });
        number
    }
}

/// The dimensions whose units are in `features`.
fn units(features: &Features) -> Vec<usize> {
    match features {
        Features::One => Vec::new(),
        Features::Times(_, inside) | Features::Groups(_, inside) => units(inside),
        Features::Units(dimension, inside) => [vec![*dimension], units(inside)].concat(),
        Features::Sum(terms) => terms.iter().flat_map(units).collect(),
    }
}
