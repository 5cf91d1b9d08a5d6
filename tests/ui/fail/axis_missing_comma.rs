use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden] gate)]
    fc1: Linear,
    #[slim(input = [2 hidden])]
    fc2: Linear,
    #[slim(input = [hidden width])]
    fc3: Linear,
    #[slim(input = [2,, hidden])]
    fc4: Linear,
}

fn main() {}
