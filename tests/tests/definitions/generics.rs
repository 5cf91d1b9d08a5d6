//! Parameters with bounds and defaults.

use vitslim_core::prelude::*;
use vitslim_core::slim::{Axis, DimensionMapper, SlimLayer};

/// A parameter without a bound.
#[derive(Module, Debug, Slimmable)]
pub struct Mlp<A> {
    #[slim(output = [hidden])]
    fc1: Linear,
    act: A,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

/// A bound on the parameter, one in a where clause, and a default. `M` is also what the derive would like to call its
/// mapper.
#[derive(Module, Debug, Slimmable)]
pub struct Stack<M: Module, N = Mlp<Gelu>>
where
    N: Slimmable,
{
    #[slim]
    first: M,
    #[slim]
    rest: Vec<Option<M>>,
    #[slim]
    last: N,
    norm: LayerNorm,
}

/// Any two layers with the axes that are asked for. The parameters are named like what the derive brings in.
#[derive(Module, Debug, Slimmable)]
pub struct Pair<Input: Module, Output: Module> {
    #[slim(output = [hidden])]
    input: Input,
    #[slim(input = [hidden], gate)]
    output: Output,
}

/// A const parameter in the type of a layer.
#[derive(Module, Debug, Slimmable)]
pub struct Positions<const D: usize> {
    #[slim(axis(2) = [width], gate)]
    embedding: Param<Tensor<D>>,
    #[slim(input = [width])]
    head: Linear,
}

/// A private type in a public one, and parameters behind a `cfg`.
#[derive(Module, Debug, Slimmable)]
pub struct Block<#[cfg(true)] A: Module, #[cfg(false)] Gone: Module> {
    #[cfg(true)]
    #[slim]
    mlp: Private<A>,
    #[cfg(false)]
    #[slim]
    gone: Gone,
}

#[derive(Module, Debug, Slimmable)]
struct Private<A: Module> {
    #[slim]
    mlp: Mlp<A>,
}

fn slimmable<T: Slimmable>() {}

/// A function over the ranks that such positions may have.
pub fn positions<const D: usize>()
where
    Param<Tensor<D>>: SlimLayer<Axis<2>>,
{
    slimmable::<Positions<D>>();
}

/// A generic traversal.
pub fn traverse<A, M: DimensionMapper>(mlp: Mlp<A>, mapper: &mut M) -> Mlp<A>
where
    Mlp<A>: Slimmable,
{
    mlp.map_dimensions(mapper)
}

#[test]
fn bounds_hold() {
    slimmable::<Stack<Mlp<Gelu>>>();
    slimmable::<Pair<Linear, Linear>>();
    slimmable::<Block<Gelu>>();
    positions::<3>();
}
