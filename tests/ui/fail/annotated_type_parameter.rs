use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Stack<#[slim] L: Module> {
    layers: Vec<L>,
    #[slim]
    last: L,
}

fn main() {}
