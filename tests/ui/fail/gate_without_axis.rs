use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(gate, output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden])]
    #[slim(gate)]
    fc2: Linear,
}

fn main() {}
