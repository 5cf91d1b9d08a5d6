use burn::module::Module;
use vitslim_core::prelude::*;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = ["hidden", 0, -3, 2.0, 3u8, 99999999999999999999, true, _])]
    fc1: Linear,
    #[slim(input = [self.hidden, 2 * hidden, nn::hidden, hidden()])]
    fc2: Linear,
}

fn main() {}
