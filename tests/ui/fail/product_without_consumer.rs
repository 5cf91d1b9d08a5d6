use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Scores {
    #[slim(output = [qk], gate)]
    q: Linear,
    #[slim(output = [qk])]
    k: Linear,
    v: Linear,
}

fn main() {}
