use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    hidden: usize,
}

#[derive(Module, Debug, Slimmable)]
struct Copies<const COPIES: usize> {
    #[slim(output = [COPIES], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
