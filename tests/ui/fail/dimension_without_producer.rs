use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

fn main() {}
