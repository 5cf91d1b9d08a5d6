use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug)]
struct Lora {
    down: Linear,
    up: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [2, hidden])]
    fc1: Lora,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

fn main() {}
