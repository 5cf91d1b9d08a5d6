use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(none)]
struct Annotated {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(none = true)]
struct Valued {
    fc: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct OnAField {
    #[slim(none)]
    fc: Linear,
}

fn main() {}
