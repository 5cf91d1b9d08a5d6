use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Joined {
    #[slim(output = [local], gate)]
    conv: Conv2d,
    #[slim(output = [global], gate)]
    fc: Linear,
    #[slim(input = [local, global])]
    head: Linear,
}

fn main() {}
