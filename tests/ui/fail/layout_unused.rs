use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [hidden], gate)]
    qkv: Linear,
    #[slim(input = [hidden])]
    proj: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
}

fn main() {}
