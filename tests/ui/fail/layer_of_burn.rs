use burn::module::Module;
use burn::nn::LayerNorm;
use vitslim_core::nn::Linear;
use vitslim_core::slim::Slimmable;

#[derive(Module, Debug, Slimmable)]
struct Mlp {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(output = [hidden], gate)]
    norm: LayerNorm,
    #[slim(input = [hidden])]
    fc2: Linear,
}

fn main() {}
