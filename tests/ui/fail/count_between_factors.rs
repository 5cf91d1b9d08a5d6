use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [heads, 3, head_dim], gate)]
    qkv: Linear,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
}

fn main() {}
