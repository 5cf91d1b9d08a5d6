use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [], gate)]
    fc1: Linear,
    #[slim()]
    fc2: Linear,
}

fn main() {}
