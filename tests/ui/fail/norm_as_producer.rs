use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    fc1: Linear,
    #[slim(output = [hidden], gate)]
    norm: LayerNorm,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
