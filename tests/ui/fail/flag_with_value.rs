use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(tokens = [tokens])]
    tokens: TokenGate,
    #[slim(output = [hidden], gate = true)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
