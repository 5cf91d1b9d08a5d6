use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Model {
    #[slim(tokens)]
    tokens: Option<TokenGate>,
    #[slim(tokens)]
    of_each_block: Vec<TokenGate>,
    #[slim(layout = [heads, head_dim])]
    heads: Vec<HeadLayout>,
    #[slim]
    blocks: Vec<Block>,
}

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(tokens)]
    tokens: TokenGate,
}

fn main() {}
