use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Net {
    #[slim]
    stages: Vec<Stage>,
    norm: LayerNorm,
    #[slim(input = [stage.last.width])]
    misspelt: Linear,
    #[slim(input = [norm.width])]
    not_nested: Linear,
    #[slim(input = [stages.width])]
    no_element: Linear,
    #[slim(width = body.width)]
    nowhere: Block,
    #[slim(input = [stages.last.width, stages.first.width])]
    two: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Stage {
    #[slim(output = [width], gate)]
    fc1: Linear,
    #[slim(input = [width])]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Block {
    #[slim(output = [width], gate)]
    norm: LayerNorm,
}

fn main() {}
