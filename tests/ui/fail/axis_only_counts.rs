use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [3, copies], gate)]
    fc1: Linear,
    copies: usize,
}

fn main() {}
