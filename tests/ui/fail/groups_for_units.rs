use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(input = [heads])]
    proj: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
}

fn main() {}
