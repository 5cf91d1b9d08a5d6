use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Net {
    #[slim(output = [width], gate)]
    stem: Conv2d,
    #[slim(width = width)]
    same: Block,
    #[slim(width = count)]
    number: Block,
    #[slim(width = other, width = width)]
    twice: Block,
    #[slim(width = "width")]
    quoted: Block,
    #[slim(width =)]
    nothing: Block,
    #[slim(width = 3 * width)]
    product: Block,
    #[slim(width = [width])]
    bracketed: Block,
    #[slim(output = [other])]
    second: Linear,
    #[slim(input = [width, other], gate)]
    head: Linear,
    count: usize,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Block {
    #[slim(output = [width], gate)]
    norm: LayerNorm,
}

fn main() {}
