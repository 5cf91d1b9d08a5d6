use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width, width])]
struct Mlp {
    #[slim(input = [width])]
    fc1: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
#[slim(outer = [depth])]
struct Two {
    #[slim(input = [width])]
    fc1: Linear,
}

fn main() {}
