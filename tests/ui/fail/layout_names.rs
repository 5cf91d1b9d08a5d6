use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(layout = [head_dim])]
    one: HeadLayout,
    #[slim(layout = [blocks, heads, head_dim])]
    three: HeadLayout,
    #[slim(layout = [12, head_dim])]
    number: HeadLayout,
    #[slim(layout = "heads, head_dim")]
    quoted: HeadLayout,
    #[slim(layout = [heads, heads])]
    same: HeadLayout,
    #[slim(layout)]
    nothing: HeadLayout,
}

fn main() {}
