use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden], gate, gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
