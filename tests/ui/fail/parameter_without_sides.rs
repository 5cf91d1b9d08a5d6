use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Positions {
    #[slim(output = [width], gate)]
    pos_embed: Param<Tensor<3>>,
    #[slim(input = [width])]
    head: Linear,
}

fn main() {}
