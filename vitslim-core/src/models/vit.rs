//! The Vision Transformer (Dosovitskiy et al. 2020) and DeiT (Touvron et al. 2020). Names of parts are timm's.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Architecture, ConfigError, Logits, limits};
use crate::nn::{
    Conv2d, Conv2dConfig, DropPath, Dropout, Gelu, HeadLayout, LayerNorm, LayerNormConfig, Linear,
    LinearConfig, NORMAL, TokenGate, normal,
};
use crate::slim::Slimmable;

/// Configuration of a [`Vit`], and of a [`DistilledVit`](super::DistilledVit).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VitConfig {
    /// Height and width of an image in pixels. Defaults to that of the data.
    #[schemars(extend("minimum" = 1, "unit" = "pixels"))]
    pub image_size: usize,
    /// Height and width of a patch in pixels; must divide the image size.
    #[schemars(extend("minimum" = 1, "unit" = "pixels"))]
    pub patch_size: usize,
    /// Channels of an image. Defaults to that of the data.
    #[schemars(extend("minimum" = 1))]
    pub channels: usize,
    /// Number of classes. Defaults to that of the data.
    #[schemars(extend("minimum" = 1))]
    pub classes: usize,
    /// Embedding width.
    #[schemars(extend("minimum" = 1))]
    pub dim: usize,
    /// Number of blocks.
    #[schemars(extend("minimum" = 1))]
    pub depth: usize,
    /// Attention heads of a block; must divide the width.
    #[schemars(extend("minimum" = 1))]
    pub heads: usize,
    /// Hidden units of an MLP, as a multiple of the width.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub mlp_ratio: f64,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Probability of dropping a feature after the embedding, the attention and each layer of an MLP.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub dropout: f64,
    /// Probability of skipping a branch (stochastic depth) of the last block; it grows linearly with depth from 0.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub drop_path: f64,
}

impl Default for VitConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            patch_size: 16,
            channels: 3,
            classes: 1000,
            dim: 192,
            depth: 12,
            heads: 3,
            mlp_ratio: 4.0,
            qkv_bias: true,
            dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

impl VitConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let refused = |field, message: String| Err(ConfigError::new(field, message));
        limits::sizes(&[
            ("image_size", self.image_size),
            ("patch_size", self.patch_size),
            ("channels", self.channels),
            ("classes", self.classes),
            ("dim", self.dim),
            ("depth", self.depth),
            ("heads", self.heads),
        ])?;
        if !self.image_size.is_multiple_of(self.patch_size) {
            let (patch, image) = (self.patch_size, self.image_size);
            return refused(
                "patch_size",
                format!("patches of {patch} do not divide images of {image} pixels"),
            );
        }
        if !self.dim.is_multiple_of(self.heads) {
            let (heads, dim) = (self.heads, self.dim);
            return refused("heads", format!("{heads} heads do not divide a width of {dim}"));
        }
        limits::mlp_ratio(self.mlp_ratio, self.hidden())?;
        let cause = limits::cause(
            self,
            Self::parameters,
            &[
                ("dim", |config, usual| config.dim = usual.dim),
                ("depth", |config, usual| config.depth = usual.depth),
                ("mlp_ratio", |config, usual| config.mlp_ratio = usual.mlp_ratio),
                ("image_size", |config, usual| config.image_size = usual.image_size),
                ("patch_size", |config, usual| config.patch_size = usual.patch_size),
                ("channels", |config, usual| config.channels = usual.channels),
                ("classes", |config, usual| config.classes = usual.classes),
            ],
        );
        limits::parameters(cause, self.parameters())?;
        limits::rates(&[("dropout", self.dropout), ("drop_path", self.drop_path)])
    }

    /// About so many parameters.
    fn parameters(&self) -> f64 {
        let dim = self.dim as f64;
        let patches = (self.image_size as f64 / self.patch_size as f64).powi(2);
        self.depth as f64 * dim * dim * (4.0 + 2.0 * self.mlp_ratio)
            + dim * (self.classes as f64 + patches)
            + dim * self.channels as f64 * (self.patch_size as f64).powi(2)
    }

    fn hidden(&self) -> usize {
        (self.dim as f64 * self.mlp_ratio) as usize
    }

    pub(super) fn patches(&self) -> usize {
        (self.image_size / self.patch_size).saturating_pow(2)
    }

    fn drop_path_at(&self, block: usize) -> f64 {
        self.drop_path * block as f64 / self.depth.saturating_sub(1).max(1) as f64
    }
}

/// Values of the smallest patch of timm's Vision Transformers: 8 x 8 in three colours. What embeds smaller ones is drawn as the positions
/// are, with a std of 0.02, and not as in PyTorch: there the embedding has the same size whatever the patch, thirty times that of the
/// positions, and a short training does not learn where the patches are (`bench/README.md`).
const SMALLEST_PATCH: usize = 192;

/// Splits an image into patches and embeds each.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct PatchEmbed {
    /// The embedding, a convolution whose stride is its kernel.
    #[slim(output = [width], gate)]
    pub proj: Conv2d,
}

impl PatchEmbed {
    pub(super) fn new(config: &VitConfig, device: &Device) -> Self {
        let patch = [config.patch_size; 2];
        let mut proj = Conv2dConfig::new([config.channels, config.dim], patch).with_stride(patch);
        if config.channels * config.patch_size * config.patch_size < SMALLEST_PATCH {
            proj.initializer = NORMAL;
        }
        Self { proj: proj.init(device) }
    }

    /// # Shapes
    ///
    /// - images: `[batch, channels, height, width]`
    /// - output: `[batch, patches, dim]`
    pub fn forward(&self, images: Tensor<4>) -> Tensor<3> {
        self.proj.forward_patches(images)
    }
}

/// Multi-head self-attention.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Attention {
    /// Queries, keys and values.
    #[slim(input = [width], output = [3, heads, head_dim], gate)]
    pub qkv: Linear,
    /// How features split into heads.
    #[slim(layout = [heads, head_dim])]
    pub heads: HeadLayout,
    /// Mixes the heads.
    #[slim(input = [heads, head_dim], output = [width], gate)]
    pub proj: Linear,
    /// Dropout after mixing.
    pub proj_drop: Dropout,
}

impl Attention {
    fn new(config: &VitConfig, device: &Device) -> Self {
        let dim = config.dim;
        Self {
            qkv: LinearConfig::new(dim, 3 * dim).with_bias(config.qkv_bias).init(device),
            heads: HeadLayout::new(config.heads, dim / config.heads),
            proj: LinearConfig::new(dim, dim).init(device),
            proj_drop: Dropout::new(config.dropout),
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.heads.attend(self.qkv.forward(x));
        self.proj_drop.forward(self.proj.forward(x))
    }
}

/// Two linear layers with a GELU between.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Mlp {
    /// To the hidden units.
    #[slim(input = [width], output = [hidden])]
    pub fc1: Linear,
    /// The activation.
    pub act: Gelu,
    /// Back from the hidden units.
    #[slim(input = [hidden], gate, output = [width], gate)]
    pub fc2: Linear,
    /// Dropout after each layer.
    pub drop: Dropout,
}

impl Mlp {
    pub(super) fn new(dim: usize, hidden: usize, dropout: f64, device: &Device) -> Self {
        Self {
            fc1: LinearConfig::new(dim, hidden).init(device),
            act: Gelu::new(),
            fc2: LinearConfig::new(hidden, dim).init(device),
            drop: Dropout::new(dropout),
        }
    }

    /// # Shapes
    ///
    /// - x, output: `[..., dim]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let x = self.drop.forward(self.act.forward(self.fc1.forward(x)));
        self.drop.forward(self.fc2.forward(x))
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
    /// Norm before the MLP.
    #[slim(output = [width], gate)]
    pub norm2: LayerNorm,
    /// The MLP.
    #[slim]
    pub mlp: Mlp,
    /// Stochastic depth on both branches.
    pub drop_path: DropPath,
}

impl Block {
    /// `prefix` is the number of tokens before the patches.
    pub(super) fn new(config: &VitConfig, block: usize, prefix: usize, device: &Device) -> Self {
        Self {
            tokens: TokenGate::new(prefix + config.patches(), prefix),
            norm1: LayerNormConfig::new(config.dim).init(device),
            attn: Attention::new(config, device),
            norm2: LayerNormConfig::new(config.dim).init(device),
            mlp: Mlp::new(config.dim, config.hidden(), config.dropout, device),
            drop_path: DropPath::new(config.drop_path_at(block)),
        }
    }

    /// # Shapes
    ///
    /// - x: `[batch, tokens_in, dim]`
    /// - output: `[batch, tokens, dim]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let x = self.tokens.keep(x);
        let branch = self.attn.forward(self.tokens.scale_norm(&self.norm1, x.clone()));
        let x = x + self.drop_path.forward(branch);
        let branch = self.mlp.forward(self.tokens.scale_norm(&self.norm2, x.clone()));
        x + self.drop_path.forward(branch)
    }
}

/// A Vision Transformer that classifies by its class token.
#[derive(Module, Debug, Slimmable)]
pub struct Vit {
    /// Embeds the patches.
    #[slim]
    pub patch_embed: PatchEmbed,
    /// The class token, `[1, 1, dim]`.
    #[slim(axis(2) = [width], gate, no_decay, freeze)]
    pub cls_token: Param<Tensor<3>>,
    /// Position embedding of class token and patches, `[1, tokens, dim]`.
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
    /// The classifier.
    #[slim(input = [width])]
    pub head: Linear,
}

impl Architecture for Vit {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        let size = |dim, heads| VitConfig { dim, heads, ..VitConfig::default() };
        let deit = |dim, heads| VitConfig { drop_path: 0.1, ..size(dim, heads) };
        vec![
            ("vit_tiny_patch16_224", size(192, 3)),
            ("vit_small_patch16_224", size(384, 6)),
            ("vit_base_patch16_224", size(768, 12)),
            ("deit_tiny_patch16_224", deit(192, 3)),
            ("deit_small_patch16_224", deit(384, 6)),
            ("deit_base_patch16_224", deit(768, 12)),
        ]
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        config.check()?;
        Ok(Self {
            patch_embed: PatchEmbed::new(config, device),
            cls_token: normal([1, 1, config.dim], 1e-6, device),
            pos_embed: normal([1, config.patches() + 1, config.dim], 0.02, device),
            pos_drop: Dropout::new(config.dropout),
            blocks: (0..config.depth).map(|block| Block::new(config, block, 1, device)).collect(),
            norm: LayerNormConfig::new(config.dim).init(device),
            head: LinearConfig::new(config.dim, config.classes).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let patches = self.patch_embed.forward(images);
        let [batch, _, dim] = patches.dims();
        let class = self.cls_token.val().expand([batch, 1, dim]);
        let x = Tensor::cat(vec![class, patches], 1) + self.pos_embed.val();
        let x = self.blocks.iter().fold(self.pos_drop.forward(x), |x, block| block.forward(x));
        let class = self.norm.forward(x).narrow(1, 0, 1).squeeze_dim(1);
        self.head.forward::<2>(class).into()
    }
}
