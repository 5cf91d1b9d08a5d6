use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    fc2: Linear,
}

fn main() {}
