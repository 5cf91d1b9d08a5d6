use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug)]
struct ScaleNorm {
    gain: Param<Tensor<1>>,
}

#[derive(Module, Debug, Slimmable)]
struct Linears {
    #[slim(output = [hidden], gate, norm)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct ListOfLinears {
    #[slim(input = [hidden], gate, norm)]
    fcs: Vec<(LayerNorm, Option<Linear>)>,
    #[slim(output = [hidden])]
    fc: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct OwnNorm {
    #[slim(output = [hidden], gate, norm)]
    norm: ScaleNorm,
    #[slim(input = [hidden])]
    fc: Linear,
}

fn main() {}
