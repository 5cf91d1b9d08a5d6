use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden], no_decay, no_decay)]
    fc1: Linear,
    #[slim(input = [hidden], gate, decay)]
    #[slim(no_decay)]
    fc2: Linear,
    #[slim(norm, freeze)]
    norm1: LayerNorm,
    #[slim(no_decay, norm)]
    norm2: LayerNorm,
    #[slim(layer = first, layer = last)]
    pos: Param<Tensor<2>>,
}

fn main() {}
