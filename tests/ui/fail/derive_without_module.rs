use vitslim_core::prelude::*;

#[derive(Clone, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

fn main() {}
