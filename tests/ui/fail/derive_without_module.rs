use vitslim_core::prelude::*;

#[derive(Debug, Clone, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

fn main() {}
