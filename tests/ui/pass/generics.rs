#![allow(dead_code)]

use burn::module::{Module, Param};
use burn::tensor::Tensor;
use vitslim_core::prelude::*;
use vitslim_core::slim::{Axis, SlimLayer};

#[derive(Module, Debug, Slimmable)]
pub struct Mlp<A> {
    #[slim(output = [hidden])]
    fc1: Linear,
    act: A,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

// `M` is also what the derive would like to call its mapper.
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

// Any two layers with the axes that are asked for.
#[derive(Module, Debug, Slimmable)]
pub struct Pair<I: Module, O: Module> {
    #[slim(output = [hidden])]
    input: I,
    #[slim(input = [hidden], gate)]
    output: O,
}

#[derive(Module, Debug, Slimmable)]
pub struct Positions<const D: usize> {
    #[slim(axis(2) = [width], gate)]
    embedding: Param<Tensor<D>>,
    #[slim(input = [width])]
    head: Linear,
}

fn slimmable<T: Slimmable>() {}

fn positions<const D: usize>()
where
    Param<Tensor<D>>: SlimLayer<Axis<2>>,
{
    slimmable::<Positions<D>>();
}

fn main() {
    slimmable::<Mlp<Gelu>>();
    slimmable::<Stack<Mlp<Gelu>>>();
    slimmable::<Pair<Linear, Linear>>();
    positions::<3>();
}
