use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct SqueezeExcite {
    #[slim(input = [hidden], output = [squeezed])]
    reduce: Linear,
    #[slim(input = [squeezed], gate, output = [hidden])]
    expand: Linear,
}

fn main() {}
