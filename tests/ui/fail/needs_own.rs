use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Stage {
    #[slim(output = [width], gate)]
    step: Conv2d,
    #[slim]
    blocks: Vec<Block>,
}

#[derive(Module, Debug, Slimmable)]
struct Lent {
    #[slim(width = dim)]
    blocks: Vec<Block>,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Block {
    #[slim(input = [width], output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [width], gate)]
    fc2: Linear,
}

fn main() {}
