use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden], output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    #[slim(input = [hidden])]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(tokens, tokens)]
    tokens: TokenGate,
    #[slim]
    #[slim]
    mlp: Mlp,
}

fn main() {}
