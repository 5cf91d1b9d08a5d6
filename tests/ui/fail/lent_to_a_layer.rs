use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(ouput = hidden)]
    fc1: Linear,
    #[slim(input = [hidden], gate, width = hidden)]
    fc2: Linear,
    #[slim(width = hidden, output = [hidden])]
    fc3: Linear,
    #[slim(width = hidden)]
    fc4: Vec<Linear>,
    #[slim(width = hidden)]
    fc5: Linear,
}

fn main() {}
