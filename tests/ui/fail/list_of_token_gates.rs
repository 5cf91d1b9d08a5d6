use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Blocks {
    #[slim(tokens)]
    tokens: Option<TokenGate>,
    #[slim(tokens)]
    of_each_block: Vec<TokenGate>,
    #[slim(layout = [heads, head_dim])]
    heads: Vec<HeadLayout>,
    #[slim(output = [heads, head_dim], gate)]
    value: Linear,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

fn main() {}
