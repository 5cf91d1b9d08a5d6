use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Merging {
    #[slim(output = [hidden], gate)]
    before: Linear,
    #[slim(input = [neighbours, hidden])]
    reduction: Linear,
    neighbours: u32,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Attention {
    #[slim(input = [width], output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
    #[slim(layout = [heads, head_dim])]
    layout: HeadLayout,
    heads: usize,
    width: usize,
}

#[derive(Module, Debug, Slimmable)]
struct Copies<const COPIES: u8> {
    #[slim(output = [hidden], gate)]
    fc1: Linear,
    #[slim(input = [COPIES, hidden])]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Rotary {
    #[slim(output = [heads, pairs, rot], gate)]
    qkv: Linear,
    #[slim(layout = [heads, pairs, rot])]
    layout: HeadLayout,
    #[slim(input = [heads, pairs, rot])]
    proj: Linear,
    pairs: usize,
}

fn main() {}
