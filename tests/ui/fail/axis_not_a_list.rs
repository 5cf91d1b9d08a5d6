use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = hidden, gate)]
    name: Linear,
    #[slim(output = "hidden", gate)]
    quoted: Linear,
    #[slim(output(hidden), gate)]
    call: Linear,
    #[slim(output: [hidden], gate)]
    colon: Linear,
    #[slim(output, gate)]
    nothing: Linear,
    #[slim(output = 3, heads, head_dim)]
    no_brackets: Linear,
    #[slim(output = (3, hidden), gate)]
    tuple: Linear,
    #[slim = "hidden"]
    no_parentheses: Linear,
}

fn main() {}
