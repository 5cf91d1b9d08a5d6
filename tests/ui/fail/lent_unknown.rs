use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Net {
    #[slim(output = [width1], gate)]
    stem: Conv2d,
    #[slim(width = widht1)]
    stage1: Vec<Block>,
    #[slim(input = [width1])]
    head: Linear,
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
