use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Misspelt {
    #[slim(ouput = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden], gated)]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Unlike {
    #[slim(hidden)]
    fc1: Linear,
    #[slim(prune = [hidden])]
    fc2: Linear,
    #[slim(3)]
    fc3: Linear,
}

fn main() {}
