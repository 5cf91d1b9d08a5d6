use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(layout = [head_dim])]
    one: HeadLayout,
    #[slim(layout = [blocks, heads, qk, v])]
    four: HeadLayout,
    #[slim(layout = [heads, 2, 3])]
    only_numbers: HeadLayout,
    #[slim(layout = [heads, 2, qk, v])]
    whose_number: HeadLayout,
    #[slim(layout = [heads, qk + v])]
    sum: HeadLayout,
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
