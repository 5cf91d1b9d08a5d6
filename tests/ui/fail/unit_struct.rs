use vitslim_core::prelude::*;

#[derive(Slimmable)]
struct Nothing;

fn main() {}
