use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Net {
    #[slim(former = before.width)]
    stage: Stage,
    #[slim(former = stage.width or stem)]
    second: Stage,
    #[slim(input = [before.width])]
    head: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former])]
struct Stage {
    #[slim(input = [former], output = [width], gate)]
    fc1: Linear,
    #[slim(input = [width])]
    fc2: Linear,
}

fn main() {}
