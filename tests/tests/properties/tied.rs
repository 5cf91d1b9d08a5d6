//! A network whose weights are tied: each is one field, which the forward pass uses several times.

use burn::tensor::activation::gelu;
use vitslim_core::prelude::*;

/// Tokens of an image, which is as many pixels high; each pixel is a token.
pub const SIDE: usize = 2;

/// Different tokens, and so classes.
const TOKENS: usize = 3;

/// Width, hidden units, units of the code, and how often the block is called.
pub type Sizes = [usize; 4];

/// Predicts a token by the vectors that embed tokens.
#[derive(Module, Debug, Slimmable)]
#[slim(own = [width])]
pub struct Tied {
    #[slim(output = [width], gate)]
    embed: Embedding,
    #[slim]
    block: Block,
    times: usize,
    /// To a code and back, `[width, code]`.
    #[slim(axis(0) = [width], gate, axis(1) = [code], gate)]
    code: Param<Tensor<2>>,
    #[slim(output = [width], gate)]
    norm: LayerNorm,
}

/// A block that is called several times.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Block {
    #[slim(output = [width], gate)]
    norm: LayerNorm,
    #[slim(input = [width], output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [width], gate)]
    fc2: Linear,
}

impl Block {
    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        x.clone() + self.fc2.forward(gelu(self.fc1.forward(self.norm.forward(x))))
    }
}

impl Architecture for Tied {
    type Config = Sizes;

    fn presets() -> Vec<(&'static str, Sizes)> {
        Vec::new()
    }

    fn init(&[width, hidden, code, times]: &Sizes, device: &Device) -> Result<Self, ConfigError> {
        Ok(Self {
            embed: EmbeddingConfig::new(TOKENS, width).init(device),
            block: Block {
                norm: LayerNormConfig::new(width).init(device),
                fc1: LinearConfig::new(width, hidden).init(device),
                fc2: LinearConfig::new(hidden, width).init(device),
            },
            times,
            code: normal([width, code], 0.02, device),
            norm: LayerNormConfig::new(width).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let pixels = images.flatten::<2>(1, 3);
        let tokens = pixels.clone().greater_elem(-0.5).int() + pixels.greater_elem(0.5).int();
        let mut x = self.embed.forward(tokens);
        for _ in 0..self.times {
            x = self.block.forward(x);
        }
        let x = self.norm.forward(x).mean_dim(1).squeeze_dim::<2>(1);
        // Not every operation of Burn takes tensors of size 0.
        let x = match self.code.dims() {
            [0, _] | [_, 0] => x,
            _ => x.clone() + gelu(x.matmul(self.code.val())).matmul(self.code.val().transpose()),
        };
        x.matmul(self.embed.weight.val().transpose()).into()
    }
}
