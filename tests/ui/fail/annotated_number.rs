use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim]
    hidden: usize,
    #[slim(output = [wide])]
    share: f64,
    #[slim(input = [wide], gate)]
    fc2: Linear,
}

fn main() {}
