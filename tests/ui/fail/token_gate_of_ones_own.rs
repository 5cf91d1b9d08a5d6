use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug)]
struct Keep {
    tokens: usize,
}

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim(tokens)]
    keep: Keep,
}

fn main() {}
