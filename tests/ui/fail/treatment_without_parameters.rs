use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(no_decay)]
    act: Gelu,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    #[slim(freeze)]
    scale: f64,
    #[slim(no_decay)]
    positions: Tensor<2>,
}

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(tokens, no_decay)]
    tokens: TokenGate,
    #[slim(output = [heads, head_dim], gate)]
    v: Linear,
    #[slim(norm, layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
    #[slim]
    #[slim(no_decay)]
    mlp: Mlp,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Several {
    #[slim(no_decay)]
    acts: Vec<Gelu>,
    #[slim(output = [width], gate, no_decay)]
    fc: (Linear, Gelu),
    #[slim(width = hidden, freeze)]
    block: Block,
}

#[derive(Module, Debug, Slimmable)]
#[slim(no_decay)]
struct Net {
    #[slim]
    block: Block,
}

fn main() {}
