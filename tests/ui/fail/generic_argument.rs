use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Pair<I: Module, O: Module> {
    #[slim(output = [hidden])]
    input: I,
    #[slim(input = [hidden], gate)]
    output: O,
}

#[derive(Module, Debug, Slimmable)]
struct Block {
    #[slim]
    good: Pair<Linear, Linear>,
    #[slim]
    bad: Pair<Linear, Gelu>,
}

fn main() {}
