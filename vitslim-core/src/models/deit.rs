//! The distilled DeiT (Touvron et al. 2020): a Vision Transformer with a distillation token and a second head on it. Names
//! of parts are timm's.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::vit::{Block, PatchEmbed, VitConfig, patches_behind};
use super::{Architecture, ConfigError, Features, Logits, Patches};
use crate::nn::{Dropout, LayerNorm, LayerNormConfig, Linear, LinearConfig, normal};
use crate::slim::Slimmable;

/// Class and distillation token come before the patches.
const PREFIX: usize = 2;

/// A Vision Transformer that classifies by two tokens. The prediction is the mean of both heads. With a teacher, each learns from one of
/// labels and teacher; without, both from the labels.
#[derive(Module, Debug, Slimmable)]
pub struct DistilledVit {
    /// Embeds the patches.
    #[slim]
    pub patch_embed: PatchEmbed,
    /// The class token, `[1, 1, dim]`.
    #[slim(axis(2) = [width], gate, no_decay, freeze)]
    pub cls_token: Param<Tensor<3>>,
    /// The distillation token, `[1, 1, dim]`.
    #[slim(axis(2) = [width], gate, no_decay, freeze)]
    pub dist_token: Param<Tensor<3>>,
    /// Position embedding of both tokens and the patches, `[1, tokens, dim]`.
    #[slim(axis(2) = [width], gate, no_decay, freeze)]
    pub pos_embed: Param<Tensor<3>>,
    /// Dropout after the embedding.
    pub pos_drop: Dropout,
    /// The blocks.
    #[slim]
    pub blocks: Vec<Block>,
    /// Norm after the last block.
    #[slim(output = [width], gate)]
    pub norm: LayerNorm,
    /// The classifier on the class token.
    #[slim(input = [width])]
    pub head: Linear,
    /// The classifier on the distillation token.
    #[slim(input = [width])]
    pub head_dist: Linear,
}

impl DistilledVit {
    /// All tokens behind the norm, `[batch, tokens, dim]`.
    fn encode(&self, images: Tensor<4>) -> Tensor<3> {
        let patches = self.patch_embed.forward(images);
        let [batch, _, dim] = patches.dims();
        let class = self.cls_token.val().expand([batch, 1, dim]);
        let distillation = self.dist_token.val().expand([batch, 1, dim]);
        let x = Tensor::cat(vec![class, distillation, patches], 1) + self.pos_embed.val();
        let x = self.pos_drop.forward(x);
        let (x, _) = Block::chain(&self.blocks, x);
        self.norm.forward(x)
    }

    /// The logits of these tokens.
    fn classify(&self, x: &Tensor<3>) -> Logits {
        let token = |index| x.clone().narrow(1, index, 1).squeeze_dim::<2>(1);
        Logits { class: self.head.forward(token(0)), distillation: Some(self.head_dist.forward(token(1))) }
    }
}

/// Checks `config`, in which nothing can be chosen of what surrounds the blocks.
fn check(config: &VitConfig) -> Result<(), ConfigError> {
    config.check()?;
    if !config.pos_embed {
        return Err(ConfigError::new("pos_embed", "a distilled network embeds positions: leave this out"));
    }
    let usual = VitConfig::default();
    let chosen = [
        ("class_token", config.class_token != usual.class_token),
        ("reg_tokens", config.reg_tokens != usual.reg_tokens),
        ("no_embed_class", config.no_embed_class != usual.no_embed_class),
        ("pre_norm", config.pre_norm != usual.pre_norm),
        ("final_norm", config.final_norm != usual.final_norm),
        ("global_pool", config.global_pool != usual.global_pool),
        ("fc_norm", config.fc_norm == Some(true)),
    ];
    match chosen.into_iter().find(|(_, is_chosen)| *is_chosen) {
        Some((field, _)) => {
            let message = "a distilled network classifies by its class token and its distillation token, each behind the norm \
                           after the blocks: leave this out";
            Err(ConfigError::new(field, message))
        }
        None => Ok(()),
    }
}

impl Architecture for DistilledVit {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        let size = |dim, heads| VitConfig { dim, heads, drop_path: 0.1, ..VitConfig::default() };
        vec![
            ("deit_tiny_distilled_patch16_224", size(192, 3)),
            ("deit_small_distilled_patch16_224", size(384, 6)),
            ("deit_base_distilled_patch16_224", size(768, 12)),
        ]
    }

    fn values(config: &VitConfig) -> Option<f64> {
        Some(config.parameters())
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        check(config)?;
        Ok(Self {
            patch_embed: PatchEmbed::new(config, device),
            cls_token: normal([1, 1, config.dim], 1e-6, device),
            dist_token: normal([1, 1, config.dim], 0.02, device),
            pos_embed: normal([1, PREFIX + config.patches(), config.dim], 0.02, device),
            pos_drop: Dropout::new(config.dropout),
            blocks: (0..config.depth).map(|block| Block::new(config, block, PREFIX, device)).collect(),
            norm: LayerNormConfig::new(config.dim).init(device),
            head: LinearConfig::new(config.dim, config.classes).init(device),
            head_dist: LinearConfig::new(config.dim, config.classes).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        self.classify(&self.encode(images))
    }

    fn features(&self, images: Tensor<4>) -> Features {
        let x = self.encode(images);
        let patches = patches_behind(PREFIX, &x).map(|values| Patches { values, reader: "head" });
        Features { logits: self.classify(&x), patches }
    }
}
