use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden], nodecay)]
    fc1: Linear,
    #[slim(input = [hidden], gate, no_decay = true)]
    fc2: Linear,
    #[slim(frozen)]
    scale: Param<Tensor<1>>,
    #[slim(layer)]
    first: Param<Tensor<1>>,
    #[slim(layer = 3)]
    third: Param<Tensor<1>>,
    #[slim(layer = frist)]
    other: Param<Tensor<1>>,
    #[slim(layer = first, nodecay)]
    after: Param<Tensor<1>>,
    #[slim(no_decai = hidden)]
    last: Param<Tensor<1>>,
}

fn main() {}
