use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(input = [head_dim, heads])]
    proj: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads, head_dim])]
struct Borrowed {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(input = [head_dim, heads])]
    proj: Linear,
}

fn main() {}
