use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(input = [hidden], output = [hidden], gate)]
    fc: Linear,
}

fn main() {}
