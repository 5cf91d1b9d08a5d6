//! The blocks: attention and MLP.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::config::VitConfig;
use super::mlp::{Mlp, MlpConfig};
use crate::nn::{
    BranchGate, DropPath, Dropout, HeadLayout, LayerNorm, LayerNormConfig, Linear, LinearConfig, TokenGate,
};
use crate::slim::Slimmable;

/// Multi-head self-attention.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Attention {
    /// Queries, keys and values.
    #[slim(input = [width], output = [3, heads, head_dim], gate)]
    pub qkv: Linear,
    /// Norm of the queries of each head.
    #[slim(output = [heads, head_dim], gate)]
    pub q_norm: Option<LayerNorm>,
    /// Norm of the keys of each head.
    #[slim(output = [heads, head_dim], gate)]
    pub k_norm: Option<LayerNorm>,
    /// How features split into heads.
    #[slim(layout = [heads, head_dim])]
    pub heads: HeadLayout,
    /// Mixes the heads.
    #[slim(input = [heads, head_dim], output = [width], gate, end)]
    pub proj: Linear,
    /// Dropout after mixing.
    pub proj_drop: Dropout,
}

impl Attention {
    fn new(config: &VitConfig, device: &Device) -> Self {
        let (dim, heads) = (config.dim, config.heads);
        let norm = || LayerNormConfig::new(dim / heads).with_heads(heads).init(device);
        Self {
            qkv: LinearConfig::new(dim, 3 * dim).with_bias(config.qkv_bias).init(device),
            q_norm: config.qk_norm.then(norm),
            k_norm: config.qk_norm.then(norm),
            heads: HeadLayout::new(heads, dim / heads),
            proj: LinearConfig::new(dim, dim).with_bias(config.proj_bias).init(device),
            proj_drop: Dropout::new(config.dropout),
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let qkv = self.qkv.forward(x);
        let attended = match (&self.q_norm, &self.k_norm) {
            (Some(q_norm), Some(k_norm)) => {
                let [q, k, v] = self.heads.split(qkv);
                let (q, k) = (q_norm.forward_heads(q, &self.heads), k_norm.forward_heads(k, &self.heads));
                self.heads.attend_separate(q, k, v, None)
            }
            _ => self.heads.attend(qkv),
        };
        self.proj_drop.forward(self.proj.forward(attended))
    }
}

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

    /// # Shapes
    ///
    /// - branch, output: `[batch, tokens, dim]`
    pub fn forward(&self, branch: Tensor<3>) -> Tensor<3> {
        match &self.gamma {
            Some(gamma) => branch * gamma.val().unsqueeze(),
            None => branch,
        }
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

    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x);
        let x = self.attn_branch.add(x, |x| {
            let branch = self.attn.forward(self.tokens.scale_norm(&self.norm1, x));
            self.drop_path.forward(self.ls1.forward(branch))
        });
        self.mlp_branch.add(x, |x| {
            let branch = self.mlp.forward(self.tokens.scale_norm(&self.norm2, x));
            self.drop_path.forward(self.ls2.forward(branch))
        })
    }
}
