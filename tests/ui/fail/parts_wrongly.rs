use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Parts {
    #[slim(0(output = [hidden], gate))]
    fc1: Linear,
    #[slim(0(input = [hidden]), 2(input = [hidden]))]
    fc2: (Linear, Linear),
}

#[derive(Module, Debug, Slimmable)]
struct Twice {
    #[slim(0(output = [hidden], gate), 0(input = [hidden]))]
    fc1: (Linear, Linear),
    #[slim(0(tokens))]
    fc2: (TokenGate, Linear),
    #[slim(1())]
    fc3: (Linear, Linear),
    #[slim(output = [hidden], 0(input = [hidden]))]
    fc4: (Linear, Linear),
    #[slim(0(no_decay), 1(output = [hidden], norm))]
    fc5: (Linear, LayerNorm),
}

#[derive(Module, Debug, Slimmable)]
struct Types {
    #[slim(input = [hidden], gate)]
    fc1: (Linear, usize),
    #[slim(1(output = [hidden]))]
    fc2: Option<(Linear, Param<Tensor<2>>)>,
}

fn main() {}
