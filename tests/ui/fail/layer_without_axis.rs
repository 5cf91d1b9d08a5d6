use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Model {
    #[slim(axis(3) = [width], gate)]
    pos_embed: Param<Tensor<3>>,
    #[slim(axis(1) = [width])]
    embed: Linear,
    #[slim(output = [width], gate)]
    act: Gelu,
}

fn main() {}
