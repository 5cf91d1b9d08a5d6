use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(out = [hidden], mask)]
    fc1: Linear,
    #[slim(in = [hidden])]
    fc2: Linear,
    #[slim(nested)]
    mlp: Linear,
    #[slim(outputs = [hidden])]
    fc3: Linear,
}

fn main() {}
