use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
#[slim(output = [hidden])]
struct FieldKeyOnStruct {
    #[slim]
    mlp: Mlp,
}

#[derive(Module, Debug, Slimmable)]
#[slim]
#[slim(width)]
struct NoOuterOnStruct {
    #[slim]
    mlp: Mlp,
}

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(outer = [hidden], output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
