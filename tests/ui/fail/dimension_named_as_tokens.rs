use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim(output = [tokens], gate)]
    fc1: Linear,
    #[slim(input = [tokens])]
    fc2: Linear,
}

fn main() {}
