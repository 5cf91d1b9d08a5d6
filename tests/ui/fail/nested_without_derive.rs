use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim]
    norm: LayerNorm,
    #[slim]
    layers: Vec<Linear>,
}

fn main() {}
