use vitslim_core::prelude::*;

#[derive(Slimmable)]
struct Mlp(#[slim(output = [hidden])] Linear, #[slim(input = [hidden], gate)] Linear);

fn main() {}
