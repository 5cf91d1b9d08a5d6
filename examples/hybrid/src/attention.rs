//! The blocks of the attention stages.

use burn::tensor::activation::gelu;
use burn::tensor::module::avg_pool2d;
use burn::tensor::ops::AvgPoolOptions;
use vitslim_core::prelude::*;

use crate::config::CoAtNetConfig;

/// Attention with a bias for each pair of positions, and an MLP, each scaled (LayerScale, Touvron et al. 2021) and added to what
/// enters.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former, width])]
pub struct AttentionBlock {
    stride: usize,
    #[slim(output = [former], gate)]
    norm1: LayerNorm,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim(input = [former], output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(axis(1) = [heads])]
    bias: Param<Tensor<4>>,
    #[slim(input = [heads, head_dim], output = [width], gate, end)]
    proj: Linear,
    #[slim(axis(0) = [width])]
    scale1: Param<Tensor<1>>,
    /// Changes the width, where the block does.
    #[slim(input = [former], output = [width], gate)]
    shortcut: Option<Linear>,
    #[slim(output = [width], gate)]
    norm2: LayerNorm,
    #[slim(input = [width], output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [width], gate, end)]
    fc2: Linear,
    #[slim(axis(0) = [width])]
    scale2: Param<Tensor<1>>,
    #[slim(branch = [norm1, heads, qkv, bias, proj, scale1])]
    attn_branch: BranchGate,
    #[slim(branch = [norm2, fc1, fc2, scale2])]
    mlp_branch: BranchGate,
}

impl AttentionBlock {
    /// A block for a grid of `side` tokens after its pooling by `stride`.
    pub fn new(
        [former, width]: [usize; 2],
        stride: usize,
        side: usize,
        config: &CoAtNetConfig,
        device: &Device,
    ) -> Self {
        let heads = width / config.head_dim;
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let norm = |features| LayerNormConfig::new(features).init(device);
        let scale = || Param::from_tensor(Tensor::full([width], config.layer_scale, device));
        let tokens = side * side;
        Self {
            stride,
            norm1: norm(former),
            heads: HeadLayout::new(heads, config.head_dim),
            qkv: linear(former, 3 * width),
            bias: normal([1, heads, tokens, tokens], 0.02, device),
            proj: linear(width, width),
            scale1: scale(),
            shortcut: (former != width).then(|| linear(former, width)),
            norm2: norm(width),
            fc1: linear(width, 4 * width),
            fc2: linear(4 * width, width),
            scale2: scale(),
            attn_branch: BranchGate::new(),
            mlp_branch: BranchGate::new(),
        }
    }

    /// # Shapes
    ///
    /// - x: `[batch, former, height, width]`
    /// - output: `[batch, width, height / stride, width / stride]`
    pub fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        let pooled = match self.stride {
            1 => x,
            stride => avg_pool2d(x, AvgPoolOptions::new([stride; 2])),
        };
        let [batch, _, height, width] = pooled.dims();
        let x = pooled.flatten::<3>(2, 3).swap_dims(1, 2);
        let shortcut = match &self.shortcut {
            Some(shortcut) => shortcut.forward(x.clone()),
            None => x.clone(),
        };
        let x = self.attn_branch.add(shortcut, |_| {
            let qkv = self.qkv.forward(self.norm1.forward(x));
            let branch = self.proj.forward(self.heads.attend_with_bias(qkv, self.bias.val()));
            branch * self.scale1.val().unsqueeze()
        });
        let x = self.mlp_branch.add(x, |x| {
            let branch = self.fc2.forward(gelu(self.fc1.forward(self.norm2.forward(x))));
            branch * self.scale2.val().unsqueeze()
        });
        let [_, _, dim] = x.dims();
        x.swap_dims(1, 2).reshape([batch, dim, height, width])
    }
}
