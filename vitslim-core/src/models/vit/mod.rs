//! The Vision Transformer (Dosovitskiy et al. 2020), DeiT (Touvron et al. 2020), DeiT III (Touvron et al. 2022), and DINOv2 (Oquab et al.
//! 2023) with and without registers (Darcet et al. 2023). Names of parts are timm's.

mod attention;
mod block;
mod config;
mod embed;
mod mlp;
mod rope;

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::{Architecture, ConfigError, Features, Logits, Patches};
use crate::nn::{Dropout, LayerNorm, LayerNormConfig, Linear, LinearConfig, TokenSizes, normal};
use crate::slim::Slimmable;

pub use attention::Attention;
pub use block::{Block, LayerScale};
pub use config::{GlobalPool, VitConfig};
pub use embed::PatchEmbed;
pub use mlp::{Mlp, MlpConfig, MlpLayer};
pub use rope::{Pairing, Rope, RopeConfig};

/// A Vision Transformer that classifies by its class token, or by the mean of its patches.
#[derive(Module, Debug, Slimmable)]
pub struct Vit {
    /// Embeds the patches.
    #[slim]
    pub patch_embed: PatchEmbed,
    /// The class token, `[1, 1, dim]`.
    #[slim(axis(2) = [width], gate, no_decay, freeze)]
    pub cls_token: Option<Param<Tensor<3>>>,
    /// The register tokens, `[1, reg_tokens, dim]`.
    #[slim(axis(2) = [width], gate, no_decay, freeze)]
    pub reg_token: Option<Param<Tensor<3>>>,
    /// Position embedding of all tokens, `[1, tokens, dim]`, or of the patches alone, or none.
    #[slim(axis(2) = [width], gate, no_decay, freeze)]
    pub pos_embed: Option<Param<Tensor<3>>>,
    /// Dropout after the embedding.
    pub pos_drop: Dropout,
    /// Norm before the first block.
    #[slim(output = [width], gate)]
    pub norm_pre: Option<LayerNorm>,
    /// The blocks.
    #[slim]
    pub blocks: Vec<Block>,
    /// Norm after the last block.
    #[slim(output = [width], gate)]
    pub norm: Option<LayerNorm>,
    /// What of the tokens is classified.
    #[module(skip)]
    pub global_pool: GlobalPool,
    /// Norm after pooling. `layer_decay` counts it to the classifier, as timm does.
    #[slim(output = [width], gate, layer = last)]
    pub fc_norm: Option<LayerNorm>,
    /// The classifier.
    #[slim(input = [width])]
    pub head: Linear,
}

impl Vit {
    /// The tokens that enter the first block.
    ///
    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, tokens, dim]`
    pub fn embed(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embed.forward(images);
        let [batch, count, dim] = patches.dims();
        let behind_prefix = |patches| {
            let prefix = self.prefix().map(|token| token.val().expand([batch, token.dims()[1], dim]));
            Tensor::cat(prefix.chain([patches]).collect(), 1)
        };
        let x = match &self.pos_embed {
            None => behind_prefix(patches),
            Some(positions) if positions.dims()[1] == count => behind_prefix(patches + positions.val()),
            Some(positions) => behind_prefix(patches) + positions.val(),
        };
        normalised(&self.norm_pre, self.pos_drop.forward(x))
    }

    /// The logits, of the tokens that leave the last block and their sizes.
    ///
    /// # Shapes
    ///
    /// - x: `[batch, tokens, dim]`
    /// - output: `[batch, classes]`
    pub fn classify(&self, x: Tensor<3>, sizes: &TokenSizes) -> Tensor<2> {
        self.pool_and_classify(normalised(&self.norm, x), sizes)
    }

    /// The tokens that leave the last block, `[batch, tokens, dim]`, and their sizes.
    fn encode(&self, images: Tensor<4>) -> (Tensor<3>, TokenSizes) {
        Block::chain(&self.blocks, self.embed(images))
    }

    /// The logits, `[batch, classes]`, of the tokens behind the norm, `[batch, tokens, dim]`.
    fn pool_and_classify(&self, x: Tensor<3>, sizes: &TokenSizes) -> Tensor<2> {
        let pooled = match self.global_pool {
            GlobalPool::Token => x.narrow(1, 0, 1),
            // Where no patch is left, the tokens before them stand in.
            GlobalPool::Avg => sizes.mean(self.patches(&x).unwrap_or(x)),
        };
        self.head.forward(normalised(&self.fc_norm, pooled.squeeze_dim::<2>(1)))
    }

    /// The tokens before the patches, `[1, n, dim]` each.
    fn prefix(&self) -> impl Iterator<Item = &Param<Tensor<3>>> {
        self.cls_token.iter().chain(&self.reg_token)
    }

    /// The patches among the tokens `x` that are left; `None` if none is.
    fn patches(&self, x: &Tensor<3>) -> Option<Tensor<3>> {
        let prefix: usize = self.prefix().map(|token| token.dims()[1]).sum();
        patches_behind(prefix, x)
    }
}

impl Architecture for Vit {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        let size = |dim, heads| VitConfig { dim, heads, ..VitConfig::default() };
        let deit = |dim, heads| VitConfig { drop_path: 0.1, ..size(dim, heads) };
        let deit3 = |dim, heads, drop_path| VitConfig {
            init_values: Some(1e-6),
            no_embed_class: true,
            drop_path,
            ..size(dim, heads)
        };
        let dinov2 = |dim, heads| VitConfig {
            image_size: 518,
            patch_size: 14,
            init_values: Some(1e-5),
            ..size(dim, heads)
        };
        let dinov2_reg4 =
            |dim, heads| VitConfig { reg_tokens: 4, no_embed_class: true, ..dinov2(dim, heads) };
        vec![
            ("vit_tiny_patch16_224", size(192, 3)),
            ("vit_small_patch16_224", size(384, 6)),
            ("vit_base_patch16_224", size(768, 12)),
            ("vit_small_patch14_dinov2", dinov2(384, 6)),
            ("vit_base_patch14_dinov2", dinov2(768, 12)),
            ("vit_small_patch14_reg4_dinov2", dinov2_reg4(384, 6)),
            ("vit_base_patch14_reg4_dinov2", dinov2_reg4(768, 12)),
            ("deit_tiny_patch16_224", deit(192, 3)),
            ("deit_small_patch16_224", deit(384, 6)),
            ("deit_base_patch16_224", deit(768, 12)),
            ("deit3_small_patch16_224", deit3(384, 6, 0.05)),
            ("deit3_base_patch16_224", deit3(768, 12, 0.2)),
        ]
    }

    fn values(config: &VitConfig) -> Option<f64> {
        Some(config.parameters())
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        config.check()?;
        let (classes, dim, registers) = (config.classes, config.dim, config.reg_tokens);
        let prefix = usize::from(config.class_token) + registers;
        let norm = |exists: bool| exists.then(|| LayerNormConfig::new(dim).init(device));
        let follows = config.norm_follows_pooling();
        Ok(Self {
            patch_embed: PatchEmbed::new(config, device),
            cls_token: config.class_token.then(|| normal([1, 1, dim], 1e-6, device)),
            reg_token: (registers > 0).then(|| normal([1, registers, dim], 1e-6, device)),
            pos_embed: config.pos_embed.then(|| normal([1, config.positions(prefix), dim], 0.02, device)),
            pos_drop: Dropout::new(config.dropout),
            norm_pre: norm(config.pre_norm),
            blocks: (0..config.depth).map(|block| Block::new(config, block, prefix, device)).collect(),
            norm: norm(config.final_norm && !follows),
            global_pool: config.global_pool,
            fc_norm: norm(config.final_norm && follows),
            head: LinearConfig::new(dim, classes).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let (x, sizes) = self.encode(images);
        self.classify(x, &sizes).into()
    }

    fn features(&self, images: Tensor<4>) -> Features {
        let (x, sizes) = self.encode(images);
        let x = normalised(&self.norm, x);
        let patches = self.patches(&x);
        let patches = patches.map(|x| Patches { values: normalised(&self.fc_norm, x), reader: "head" });
        Features { logits: self.pool_and_classify(x, &sizes).into(), patches }
    }
}

/// The tokens `x`, `[batch, tokens, dim]`, without the first `prefix`; `None` if none is left.
pub(super) fn patches_behind(prefix: usize, x: &Tensor<3>) -> Option<Tensor<3>> {
    let patches = x.dims()[1] - prefix;
    (patches > 0).then(|| x.clone().narrow(1, prefix, patches))
}

/// `x` behind `norm`, if there is one.
fn normalised<const D: usize>(norm: &Option<LayerNorm>, x: Tensor<D>) -> Tensor<D> {
    match norm {
        Some(norm) => norm.forward(x),
        None => x,
    }
}
