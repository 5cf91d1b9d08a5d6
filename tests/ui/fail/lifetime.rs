use vitslim_core::prelude::*;

#[derive(Slimmable)]
struct Mlp<'a> {
    #[slim(output = [hidden], gate)]
    fc1: &'a Linear,
    #[slim(input = [hidden])]
    fc2: &'a Linear,
}

fn main() {}
