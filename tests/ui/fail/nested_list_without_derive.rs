use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Model {
    #[slim]
    pair: [Mlp; 2],
    #[slim]
    either: (Linear, Linear),
}

#[derive(Module, Debug)]
struct Mlp {
    fc1: Linear,
    fc2: Linear,
}

fn main() {}
