use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

fn main() {}
