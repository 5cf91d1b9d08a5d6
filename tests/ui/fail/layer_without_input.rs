use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    norm: LayerNorm,
}

fn main() {}
