use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Mlp {
    #[slim(input = [width], gate output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
