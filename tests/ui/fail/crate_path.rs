use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(crate = "vitslim_core")]
struct Quoted {
    #[slim]
    mlp: Mlp,
}

#[derive(Module, Debug, Slimmable)]
#[slim(crate)]
struct Nothing {
    #[slim]
    mlp: Mlp,
}

#[derive(Module, Debug, Slimmable)]
#[slim(crate = vitslim_core, crate = vitslim_core)]
struct Twice {
    #[slim]
    mlp: Mlp,
}

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(crate = vitslim_core, output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
