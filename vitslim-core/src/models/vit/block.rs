//! The blocks: attention and MLP, each a branch.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::attention::Attention;
use super::config::VitConfig;
use super::mlp::{Mlp, MlpConfig};
use crate::nn::{BranchGate, DropPath, LayerNorm, LayerNormConfig, TokenGate, TokenSizes, checkpoint};
use crate::slim::Slimmable;

/// A factor on each feature of a branch (Touvron et al. 2021), or none.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct LayerScale {
    /// The factors, `[dim]`. They are not gated, since the branch is. A search with `freeze: Weights` leaves them, although they have
    /// one axis.
    #[slim(axis(0) = [width], freeze)]
    pub gamma: Option<Param<Tensor<1>>>,
}

impl LayerScale {
    fn new(config: &VitConfig, device: &Device) -> Self {
        let gamma = |init| Param::from_tensor(Tensor::full([config.dim], init, device));
        Self { gamma: config.init_values.map(gamma) }
    }

    /// The factors, `[dim]`, if there are any.
    pub fn factors(&self) -> Option<Tensor<1>> {
        self.gamma.as_ref().map(Param::val)
    }
}

/// A pre-norm block: attention and MLP, each added to what enters.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Block {
    /// Where tokens are pruned.
    #[slim(tokens)]
    pub tokens: TokenGate,
    /// Norm before the attention.
    #[slim(output = [width], gate)]
    pub norm1: LayerNorm,
    /// The attention.
    #[slim]
    pub attn: Attention,
    /// Scale of the attention.
    #[slim]
    pub ls1: LayerScale,
    /// Norm before the MLP.
    #[slim(output = [width], gate)]
    pub norm2: LayerNorm,
    /// The MLP.
    #[slim]
    pub mlp: Mlp,
    /// Scale of the MLP.
    #[slim]
    pub ls2: LayerScale,
    /// Stochastic depth on both branches.
    pub drop_path: DropPath,
    /// Where the attention is added.
    #[slim(branch = [norm1, attn, ls1])]
    pub attn_branch: BranchGate,
    /// Where the MLP is added.
    #[slim(branch = [norm2, mlp, ls2])]
    pub mlp_branch: BranchGate,
    /// Both, as one branch.
    #[slim(branch = [norm1, attn, ls1, norm2, mlp, ls2])]
    pub block_branch: BranchGate,
}

impl Block {
    /// `prefix` is the number of tokens before the patches.
    pub(in crate::models) fn new(config: &VitConfig, block: usize, prefix: usize, device: &Device) -> Self {
        let mlp = MlpConfig::new(config.dim, config.hidden())
            .with_layer(config.mlp_layer)
            .with_bias(config.proj_bias)
            .with_dropout(config.dropout);
        Self {
            tokens: TokenGate::new(prefix + config.patches(), prefix),
            norm1: LayerNormConfig::new(config.dim).init(device),
            attn: Attention::new(config, device),
            ls1: LayerScale::new(config, device),
            norm2: LayerNormConfig::new(config.dim).init(device),
            mlp: mlp.init(device),
            ls2: LayerScale::new(config, device),
            drop_path: DropPath::new(config.drop_path_at(block)),
            attn_branch: BranchGate::new(),
            mlp_branch: BranchGate::new(),
            block_branch: BranchGate::new(),
        }
    }

    /// The tokens that leave the last of `blocks`, and their sizes.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub(in crate::models) fn chain(blocks: &[Self], x: Tensor<3>) -> (Tensor<3>, TokenSizes) {
        let mut sizes = TokenSizes::default();
        let x = blocks.iter().fold(x, |x, block| {
            let x = block.tokens.merge(x, &mut sizes);
            let sizes = sizes.clone();
            checkpoint(block, x, move |block, x| block.compute(x, &sizes))
        });
        (x, sizes)
    }

    /// `sizes` are those of the tokens: first of those that arrive, then of those that its gate leaves.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>, sizes: &mut TokenSizes) -> Tensor<3> {
        let x = self.tokens.merge(x, sizes);
        self.compute(x, sizes)
    }

    /// What it makes of the tokens that its gate has left, `[batch, tokens, dim]`.
    fn compute(&self, x: Tensor<3>, sizes: &TokenSizes) -> Tensor<3> {
        let x = self.attn_branch.add_scaled(x, self.ls1.factors(), &self.drop_path, |x| {
            self.attn.forward(self.tokens.scale_norm(&self.norm1, x), &self.tokens, sizes)
        });
        self.mlp_branch.add_scaled(x, self.ls2.factors(), &self.drop_path, |x| {
            self.mlp.forward(self.tokens.scale_norm(&self.norm2, x))
        })
    }
}
