use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(own = [width, width], outer = [former])]
#[slim(own = [depth])]
struct Twice {
    #[slim(output = [former])]
    norm: LayerNorm,
    #[slim]
    blocks: Vec<Block>,
}

#[derive(Module, Debug, Slimmable)]
#[slim(own = [width, count], outer = [width])]
struct Borrowed {
    #[slim(output = [width])]
    norm: LayerNorm,
    #[slim]
    blocks: Vec<Block>,
    count: usize,
}

#[derive(Module, Debug, Slimmable)]
#[slim(own = [hidden])]
struct NothingNested {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(own = [blocks.width])]
struct Path {
    #[slim]
    blocks: Vec<Block>,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Block {
    #[slim(output = [width], gate)]
    norm: LayerNorm,
    #[slim(own = [width])]
    other: LayerNorm,
}

fn main() {}
