use vitslim_core::prelude::*;

#[derive(Slimmable)]
union Layer {
    wide: u64,
    narrow: u32,
}

fn main() {}
