use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    many: Vec<Linear>,
    #[slim(input = [hidden], gate)]
    maybe: Option<Linear>,
    #[slim(input = [hidden], gate)]
    two: [Linear; 2],
    #[slim(input = [hidden], gate)]
    pair: (Linear, Linear),
}

fn main() {}
