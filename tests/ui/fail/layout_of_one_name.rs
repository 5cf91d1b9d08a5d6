use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [3, heads, heads], gate)]
    qkv: Linear,
    #[slim(input = [heads, heads])]
    proj: Linear,
    #[slim(layout = [heads, heads])]
    heads: HeadLayout,
}

fn main() {}
