use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [width, hidden], gate)]
    fc1: Linear,
    #[slim(input = [hidden, 2, hidden])]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads])]
struct HalfBorrowed {
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [three, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
}

fn main() {}
