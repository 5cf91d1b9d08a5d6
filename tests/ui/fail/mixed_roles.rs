use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden], tokens)]
    fc1: Linear,
    #[slim]
    #[slim(input = [hidden])]
    fc2: Linear,
    #[slim(layout = [heads, head_dim], output = [hidden])]
    fc3: HeadLayout,
    #[slim(input = [hidden])]
    #[slim]
    fc4: Linear,
}

fn main() {}
