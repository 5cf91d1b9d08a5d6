use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(outer = width)]
struct NoBrackets {
    #[slim(input = [width])]
    fc1: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width, 2])]
struct Number {
    #[slim(input = [width])]
    fc1: Linear,
}

fn main() {}
