//! The generated code gives no cause for warnings.

#![deny(warnings, missing_docs, clippy::all, unused_qualifications, unreachable_pub, unused_results)]

use burn::module::Module;
use vitslim_core::prelude::*;
use vitslim_core::slim::DimensionMapper;

/// A private type in a public one.
#[derive(Module, Debug, Slimmable)]
struct Mlp<A: Module> {
    #[slim(output = [hidden])]
    fc1: Linear,
    act: A,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

/// A block.
#[derive(Module, Debug, Slimmable)]
pub struct Block<A: Module> {
    /// The head layout.
    #[slim(layout = [heads, head_dim])]
    pub heads: HeadLayout,
    /// The qkv layer.
    #[slim(output = [3, heads, head_dim], gate)]
    pub qkv: Linear,
    /// The output layer.
    #[slim(input = [heads, head_dim])]
    pub proj: Linear,
    /// The gate of the tokens.
    #[slim(tokens)]
    pub tokens: TokenGate,
    #[slim]
    mlp: Mlp<A>,
}

/// Makes use of everything, so that nothing is dead code.
pub fn traverse<M: DimensionMapper>(block: Block<Gelu>, mapper: &mut M) -> Block<Gelu> {
    block.map_dimensions(mapper)
}

fn main() {}
