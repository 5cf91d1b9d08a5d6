use vitslim_core::prelude::*;

#[derive(Slimmable)]
enum Layer {
    Linear(Linear),
    Norm(LayerNorm),
}

fn main() {}
