use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [depth])]
struct Block {
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
    #[slim(input = [3])]
    fc3: Linear,
    #[slim]
    mlp: Mlp,
}

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden, gate])]
    fc1: Linear,
    #[slim(input = [2 * hidden], gaet)]
    fc2: Linear,
}

fn main() {}
