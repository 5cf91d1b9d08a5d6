//! Attention and an MLP, each added to what enters; and the stages that they make.

use burn::tensor::activation::hard_swish;
use vitslim_core::prelude::*;

use crate::attention::{Attention, Subsampling};
use crate::config::LevitConfig;
use crate::norm::{normed, normed_linear};

/// Two layers, added to what enters.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Mlp {
    #[slim(0(input = [width], output = [hidden]), 1(output = [hidden], gate))]
    fc1: (Linear, BatchNorm),
    #[slim(0(input = [hidden], output = [width]), 1(output = [width], gate, end))]
    fc2: (Linear, BatchNorm),
    #[slim(branch = [fc1, fc2])]
    mlp_branch: BranchGate,
}

/// Its parts borrow the width of its stage.
#[derive(Module, Debug, Slimmable)]
pub struct Block {
    #[slim]
    attention: Attention,
    #[slim]
    mlp: Mlp,
    #[slim(branch = [attention])]
    attn_branch: BranchGate,
}

/// A stage after the first: it halves the side of the grid, and has a width of its own.
#[derive(Module, Debug, Slimmable)]
#[slim(own = [width])]
pub struct Stage {
    #[slim]
    subsampling: Subsampling,
    #[slim]
    mlp: Mlp,
    #[slim]
    blocks: Vec<Block>,
}

impl Mlp {
    fn new(dim: usize, config: &LevitConfig, device: &Device) -> Self {
        let hidden = dim * config.mlp_ratio;
        Self {
            fc1: normed_linear(dim, hidden, device),
            fc2: normed_linear(hidden, dim, device),
            mlp_branch: BranchGate::new(),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.mlp_branch.add(x, |x| normed(&self.fc2, hard_swish(normed(&self.fc1, x))))
    }
}

impl Block {
    /// The blocks of stage `stage`.
    pub fn of_stage(stage: usize, config: &LevitConfig, device: &Device) -> Vec<Self> {
        let (dim, heads, side) = (config.dims[stage], config.heads[stage], config.sides()[stage]);
        let block = |_| Self {
            attention: Attention::new(dim, heads, config.key_dim, side, device),
            mlp: Mlp::new(dim, config, device),
            attn_branch: BranchGate::new(),
        };
        (0..config.depths[stage]).map(block).collect()
    }

    /// # Shapes
    ///
    /// - x, output: `[batch, patches, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.mlp.forward(self.attn_branch.add(x, |x| self.attention.forward(x)))
    }
}

impl Stage {
    /// Stage `stage`, which is not the first.
    pub fn new(stage: usize, config: &LevitConfig, device: &Device) -> Self {
        let dims = [config.dims[stage - 1], config.dims[stage]];
        Self {
            subsampling: Subsampling::new(dims, config.key_dim, config.sides()[stage - 1], device),
            mlp: Mlp::new(dims[1], config, device),
            blocks: Block::of_stage(stage, config, device),
        }
    }

    /// # Shapes
    ///
    /// - x: `[batch, former patches, former dim]`
    /// - output: `[batch, patches, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.mlp.forward(self.subsampling.forward(x));
        self.blocks.iter().fold(x, |x, block| checkpoint(block, x, Block::forward))
    }
}
