#![allow(dead_code)]

use burn::module::Module;
use vitslim_core::prelude::*;

// The four neighbours that Swin's patch merging stacks, and a raw name.
#[derive(Module, Debug, Slimmable)]
pub struct PatchMerging {
    #[slim(output = [hidden], gate)]
    before: Linear,
    #[slim(input = [neighbours, hidden, r#type, 2usize])]
    reduction: Linear,
    neighbours: usize,
    r#type: usize,
}

fn main() {}
