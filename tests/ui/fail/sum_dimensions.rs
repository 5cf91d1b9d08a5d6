use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [width], gate)]
    embed: Linear,
    #[slim(input = [width], output = [heads, 3, head_dim], gate)]
    qkv: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim + width])]
    mixed: Linear,
    #[slim(input = [head_dim + width])]
    without_groups: Linear,
    #[slim(input = [width, width + 4])]
    twice: Linear,
    #[slim(input = [heads + 4], gate)]
    groups: Linear,
    #[slim(input = [3 + 4])]
    numbers: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [a], gate)]
    fc1: Linear,
    #[slim(output = [b], gate)]
    fc2: Linear,
    #[slim(input = [a, b])]
    fc3: Linear,
}

fn main() {}
