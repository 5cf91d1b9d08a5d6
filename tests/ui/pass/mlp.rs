#![allow(dead_code)]

use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
pub struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    act: Gelu,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

// A gate at each end, a trailing comma everywhere, and an attribute for each axis.
#[derive(Module, Debug, Slimmable)]
pub struct Bottleneck {
    #[slim(output = [wide,], gate,)]
    expand: Linear,
    #[slim(output = [narrow])]
    #[slim(input = [wide])]
    squeeze: Linear,
    #[slim(input = [narrow], gate)]
    project: Linear,
}

fn main() {}
