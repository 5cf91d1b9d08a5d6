use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Vec<Linear>,
    act: Gelu,
    #[slim(input = [hidden], gate)]
    norm: Option<(Linear, LayerNorm)>,
}

fn main() {}
