//! The blocks of a stage.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::config::SwinConfig;
use super::norm::norm;
use super::window::WindowAttention;
use crate::models::{Mlp, MlpConfig};
use crate::nn::{BranchGate, DropPath, LayerNorm, Windows};
use crate::slim::Slimmable;

/// A pre-norm block: attention in windows and MLP, each added to what enters. The windows of every other block are shifted.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct SwinBlock {
    /// Norm before the attention.
    #[slim(output = [width], gate)]
    pub norm1: LayerNorm,
    /// The windows that attention looks at.
    pub windows: Windows,
    /// The attention.
    #[slim]
    pub attn: WindowAttention,
    /// Norm before the MLP.
    #[slim(output = [width], gate)]
    pub norm2: LayerNorm,
    /// The MLP.
    #[slim]
    pub mlp: Mlp,
    /// Stochastic depth on both branches.
    pub drop_path: DropPath,
    /// Where the attention is added.
    #[slim(branch = [norm1, attn])]
    pub attn_branch: BranchGate,
    /// Where the MLP is added.
    #[slim(branch = [norm2, mlp])]
    pub mlp_branch: BranchGate,
    /// Both, as one branch.
    #[slim(branch = [norm1, attn, norm2, mlp])]
    pub block_branch: BranchGate,
}

impl SwinBlock {
    /// The block number `block` of a stage, after `blocks_before` blocks of all stages.
    pub(super) fn new(
        config: &SwinConfig,
        stage: usize,
        block: usize,
        blocks_before: usize,
        device: &Device,
    ) -> Self {
        let (dim, heads) = (config.dim_at(stage), config.heads[stage]);
        let mlp = MlpConfig::new(dim, config.hidden_at(stage)).with_dropout(config.dropout);
        let windows = Windows::new(config.side_at(stage), config.window, block % 2 == 1, device);
        Self {
            norm1: norm(dim, device),
            attn: WindowAttention::new(dim, heads, windows.size, config.qkv_bias, config.dropout, device),
            norm2: norm(dim, device),
            mlp: mlp.init(device),
            drop_path: DropPath::new(config.drop_path_at(blocks_before)),
            windows,
            attn_branch: BranchGate::new(),
            mlp_branch: BranchGate::new(),
            block_branch: BranchGate::new(),
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[batch, side * side, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        // A stage that lost its whole width has nothing to add to, and no windows.
        if x.dims()[2] == 0 {
            return x;
        }
        let x = self.attn_branch.add_scaled(x, None, &self.drop_path, |x| {
            self.attn.forward(self.norm1.forward(x), &self.windows)
        });
        self.mlp_branch.add_scaled(x, None, &self.drop_path, |x| self.mlp.forward(self.norm2.forward(x)))
    }
}
