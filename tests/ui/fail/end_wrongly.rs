use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, end, end)]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(end)]
    tokens: TokenGate,
    #[slim(tokens, end)]
    others: TokenGate,
    #[slim(0(output = [hidden]), 1(input = [hidden], gate, end))]
    parts: (Linear, Linear),
    #[slim(input = [hidden], end)]
    list: Vec<Linear>,
    #[slim(end = [hidden])]
    value: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Outer {
    #[slim(end)]
    blocks: Vec<Linear>,
    #[slim]
    #[slim(end)]
    nested: Mlp,
}

#[derive(Module, Debug, Slimmable)]
struct NoLayer {
    #[slim(end)]
    act: Gelu,
}

fn main() {}
