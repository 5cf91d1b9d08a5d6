//! Grouped dimensions.

use vitslim_core::prelude::*;

/// One layer for queries, keys and values.
#[derive(Module, Debug, Slimmable)]
pub struct Attention {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
}

/// The layout first and under another name, three producers with a gate each, and a count behind the dimension.
#[derive(Module, Debug, Slimmable)]
pub struct SeparateAttention {
    #[slim(layout = [heads, head_dim])]
    layout: HeadLayout,
    #[slim(output = [heads, head_dim], gate)]
    q: Linear,
    #[slim(output = [heads, head_dim], gate)]
    k: Linear,
    #[slim(output = [heads, head_dim], gate)]
    v: Linear,
    #[slim(input = [heads, head_dim, 1])]
    proj: Linear,
}

/// A bias of each head, whose axis names only the groups, and one of an enclosing struct's heads.
#[derive(Module, Debug, Slimmable)]
pub struct BiasedAttention {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(axis(1) = [2, heads])]
    bias: Param<Tensor<2>>,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim]
    positions: Positions,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

/// Borrows the groups alone.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads])]
pub struct Positions {
    #[slim(axis(0) = [heads])]
    bias: Param<Tensor<3>>,
}

/// The grouped dimension belongs to the enclosing struct.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads, head_dim])]
pub struct Projection {
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}
