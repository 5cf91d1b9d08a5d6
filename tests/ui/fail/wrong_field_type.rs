use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(tokens)]
    fc1: Linear,
    #[slim(layout = [heads, head_dim])]
    fc2: Linear,
    #[slim]
    tokens: TokenGate,
    #[slim(output = [heads, head_dim])]
    heads: HeadLayout,
}

fn main() {}
