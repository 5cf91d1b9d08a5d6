//! Attention and a gated MLP side by side: both read the same norm, and both add to what enters.

use burn::tensor::activation::silu;
use vitslim_core::prelude::*;

use crate::config::ParallelConfig;

/// Declares `tokens`, `head_dim` and `hidden`, and borrows the embedding width.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct ParallelBlock {
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim(output = [width], gate)]
    norm: RmsNorm,
    #[slim(input = [width], output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [heads, head_dim], output = [width], gate)]
    proj: Linear,
    #[slim(input = [width], output = [hidden])]
    fc1_g: Linear,
    #[slim(input = [width], output = [hidden])]
    fc1_x: Linear,
    #[slim(input = [hidden], gate, output = [width], gate)]
    fc2: Linear,
}

impl ParallelBlock {
    pub fn new(config: &ParallelConfig, device: &Device) -> Self {
        let ParallelConfig { dim, heads, hidden, .. } = *config;
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        Self {
            tokens: TokenGate::new(config.patches(), 0),
            norm: RmsNormConfig::new(dim).init(device),
            qkv: linear(dim, 3 * dim),
            heads: HeadLayout::new(heads, dim / heads),
            proj: linear(dim, dim),
            fc1_g: linear(dim, hidden),
            fc1_x: linear(dim, hidden),
            fc2: linear(hidden, dim),
        }
    }

    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x);
        let read = self.tokens.scale(self.norm.forward(x.clone()));
        let attended = self.heads.attend(self.qkv.forward(read.clone()));
        let gated = silu(self.fc1_g.forward(read.clone())) * self.fc1_x.forward(read);
        x + self.proj.forward(attended) + self.fc2.forward(gated)
    }
}
