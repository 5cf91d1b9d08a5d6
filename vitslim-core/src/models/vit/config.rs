//! What a Vision Transformer is made of.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::mlp::MlpLayer;
use super::rope::RopeConfig;
use crate::models::{ConfigError, limits};

/// What of the tokens a network classifies by, by timm's names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum GlobalPool {
    /// The class token.
    #[default]
    Token,
    /// The mean of the patches that are left, each as often as patches are merged in it. A search takes the mean of all, whatever their
    /// masks.
    Avg,
}

/// Configuration of a [`Vit`](super::Vit), and of a [`DistilledVit`](crate::models::DistilledVit).
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
    /// Attention heads of a block; must divide the width, unless `qk_dim` and `v_dim` are written.
    #[schemars(extend("minimum" = 1))]
    pub heads: usize,
    /// Dims of the queries and keys of a head. If it is written, or `v_dim` or `rope` is, queries and keys are cut apart from values.
    /// Left out, it is the width over the heads.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("minimum" = 1))]
    pub qk_dim: Option<usize>,
    /// Dims of the values of a head. Left out, it is the width over the heads.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("minimum" = 1))]
    pub v_dim: Option<usize>,
    /// Rotary positions. Left out, queries and keys are not turned.
    #[serde(skip_serializing_if = "is_default")]
    pub rope: Option<RopeConfig>,
    /// Hidden units of an MLP, as a multiple of the width.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub mlp_ratio: f64,
    /// The kind of an MLP.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Self::default().mlp_layer))]
    pub mlp_layer: MlpLayer,
    /// Whether queries, keys and values have a bias.
    pub qkv_bias: bool,
    /// Whether queries and keys are normalised, each head by itself, with parameters that all heads share.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Self::default().qk_norm))]
    pub qk_norm: bool,
    /// Whether the other layers of a block have a bias.
    #[serde(skip_serializing_if = "is_true")]
    #[schemars(extend("default" = Self::default().proj_bias))]
    pub proj_bias: bool,
    /// What the factors on the features of each branch (LayerScale) start from. Left out, there are none.
    #[serde(skip_serializing_if = "is_default")]
    pub init_values: Option<f64>,
    /// Whether there is a class token.
    #[serde(skip_serializing_if = "is_true")]
    #[schemars(extend("default" = Self::default().class_token))]
    pub class_token: bool,
    /// Number of register tokens. Like the class token they come before the patches, and are not prunable.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("minimum" = 0, "default" = Self::default().reg_tokens))]
    pub reg_tokens: usize,
    /// Whether positions are embedded, and added to the tokens.
    #[serde(skip_serializing_if = "is_true")]
    #[schemars(extend("default" = Self::default().pos_embed))]
    pub pos_embed: bool,
    /// Whether only patches have embedded positions, and not the tokens before them.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Self::default().no_embed_class))]
    pub no_embed_class: bool,
    /// Whether there is a norm before the blocks; the patch embedding then has no bias.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Self::default().pre_norm))]
    pub pre_norm: bool,
    /// Whether there is a norm after the blocks.
    #[serde(skip_serializing_if = "is_true")]
    #[schemars(extend("default" = Self::default().final_norm))]
    pub final_norm: bool,
    /// What classifies: the class token or the mean of the patches.
    #[serde(skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Self::default().global_pool))]
    pub global_pool: GlobalPool,
    /// Whether the norm after the blocks comes after pooling. Left out, it does with `global_pool: Avg`.
    #[serde(skip_serializing_if = "is_default")]
    pub fc_norm: Option<bool>,
    /// Probability of dropping a feature after the embedding, the attention and each layer of an MLP.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub dropout: f64,
    /// Probability of skipping a branch (stochastic depth) of the last block; it grows linearly with depth from 0.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub drop_path: f64,
}

/// Whether a field has its default. A field that was added later is then not written, so that what describes an earlier network still does.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// The same of a field that is true by default.
fn is_true(value: &bool) -> bool {
    *value
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
            qk_dim: None,
            v_dim: None,
            rope: None,
            mlp_ratio: 4.0,
            mlp_layer: MlpLayer::Mlp,
            qkv_bias: true,
            qk_norm: false,
            proj_bias: true,
            init_values: None,
            class_token: true,
            reg_tokens: 0,
            pos_embed: true,
            no_embed_class: false,
            pre_norm: false,
            final_norm: true,
            global_pool: GlobalPool::Token,
            fc_norm: None,
            dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

impl VitConfig {
    pub(in crate::models) fn check(&self) -> Result<(), ConfigError> {
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
        let by_head = self.qk_dim.is_none() || self.v_dim.is_none();
        if by_head && !self.dim.is_multiple_of(self.heads) {
            let (heads, dim) = (self.heads, self.dim);
            return refused("heads", format!("{heads} heads do not divide a width of {dim}"));
        }
        limits::sizes(&[("qk_dim", self.qk_dim()), ("v_dim", self.v_dim())])?;
        if let Some(rope) = self.rope {
            rope.check(self.qk_dim())?;
        }
        limits::mlp_ratio(self.mlp_ratio, self.hidden())?;
        let (outputs, branches) = (self.mlp_outputs(), self.mlp_layer.branches());
        if !outputs.is_multiple_of(branches) {
            let (ratio, dim) = (self.mlp_ratio, self.dim);
            let message = format!(
                "{ratio} times a width of {dim} is {outputs}, which does not split into the two halves of a `SwiGLUPacked`"
            );
            return refused("mlp_ratio", message);
        }
        if let Some(init) = self.init_values {
            limits::finite("init_values", init)?;
        }
        if self.global_pool == GlobalPool::Token && !self.class_token {
            let message = "there is no class token to classify by: write `global_pool: Avg` too".to_owned();
            return refused("class_token", message);
        }
        let cause = limits::cause(
            self,
            Self::parameters,
            &[
                ("dim", |config, usual| config.dim = usual.dim),
                ("depth", |config, usual| config.depth = usual.depth),
                ("mlp_ratio", |config, usual| config.mlp_ratio = usual.mlp_ratio),
                ("heads", |config, usual| config.heads = usual.heads),
                ("qk_dim", |config, _| config.qk_dim = config.qk_dim.map(|_| 64)),
                ("v_dim", |config, _| config.v_dim = config.v_dim.map(|_| 64)),
                ("image_size", |config, usual| config.image_size = usual.image_size),
                ("patch_size", |config, usual| config.patch_size = usual.patch_size),
                ("channels", |config, usual| config.channels = usual.channels),
                ("classes", |config, usual| config.classes = usual.classes),
                ("reg_tokens", |config, usual| config.reg_tokens = usual.reg_tokens),
            ],
        );
        limits::parameters(cause, self.parameters())?;
        limits::rates(&[("dropout", self.dropout), ("drop_path", self.drop_path)])
    }

    /// About so many parameters.
    pub(in crate::models) fn parameters(&self) -> f64 {
        let dim = self.dim as f64;
        let patches = (self.image_size as f64 / self.patch_size as f64).powi(2);
        let attention = self.heads as f64 * 2.0 * (self.qk_dim() as f64 + self.v_dim() as f64);
        self.depth as f64 * dim * (attention + 2.0 * self.mlp_ratio * dim)
            + dim * (self.classes as f64 + patches + self.reg_tokens as f64)
            + dim * self.channels as f64 * (self.patch_size as f64).powi(2)
    }

    /// Outputs of the first layer of an MLP.
    fn mlp_outputs(&self) -> usize {
        (self.dim as f64 * self.mlp_ratio) as usize
    }

    /// Hidden units of an MLP.
    pub(crate) fn hidden(&self) -> usize {
        self.mlp_outputs() / self.mlp_layer.branches()
    }

    /// Number of positions, where `prefix` tokens come before the patches.
    pub(in crate::models) fn positions(&self, prefix: usize) -> usize {
        self.patches() + if self.no_embed_class { 0 } else { prefix }
    }

    /// Dims of the queries and keys of a head.
    pub(super) fn qk_dim(&self) -> usize {
        self.qk_dim.unwrap_or(self.dim / self.heads)
    }

    /// Dims of the values of a head.
    pub(super) fn v_dim(&self) -> usize {
        self.v_dim.unwrap_or(self.dim / self.heads)
    }

    /// Whether the norm after the blocks comes after pooling.
    pub(super) fn norm_follows_pooling(&self) -> bool {
        self.fc_norm.unwrap_or(self.global_pool == GlobalPool::Avg)
    }

    pub(crate) fn patches(&self) -> usize {
        (self.image_size / self.patch_size).saturating_pow(2)
    }

    /// Rate of stochastic depth of a block.
    pub(super) fn drop_path_at(&self, block: usize) -> f64 {
        self.drop_path * block as f64 / self.depth.saturating_sub(1).max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::{Architecture, DistilledVit, Vit};

    type Change = fn(&mut VitConfig);

    fn refused(change: Change, check: fn(&VitConfig) -> Result<(), ConfigError>) -> ConfigError {
        let mut config =
            VitConfig { image_size: 28, patch_size: 14, dim: 6, depth: 1, ..VitConfig::default() };
        assert_eq!(check(&config), Ok(()));
        change(&mut config);
        check(&config).unwrap_err()
    }

    #[test]
    fn what_describes_no_model_is_refused_by_field_with_what_would_be_right() {
        let cases: [(&str, Change, &str); 12] = [
            ("patch_size", |c| c.image_size = 224 + 1, "patches of 14 do not divide images of 225 pixels"),
            ("heads", |c| c.heads = 4, "4 heads do not divide a width of 6"),
            ("heads", |c| (c.heads, c.qk_dim) = (4, Some(3)), "4 heads do not divide a width of 6"),
            ("v_dim", |c| c.v_dim = Some(0), "must be at least 1"),
            ("rope", |c| (c.qk_dim, c.rope) = (Some(6), Some(RopeConfig::default())), "a multiple of 4 does"),
            (
                "rope",
                |c| {
                    (c.qk_dim, c.rope) =
                        (Some(4), Some(RopeConfig { temperature: 0.0, ..RopeConfig::default() }))
                },
                "no angles follow from a temperature of 0",
            ),
            ("class_token", |c| c.class_token = false, "write `global_pool: Avg` too"),
            ("init_values", |c| c.init_values = Some(f64::NAN), "finite in 32 bits"),
            ("init_values", |c| c.init_values = Some(1e39), "finite in 32 bits"),
            ("reg_tokens", |c| c.reg_tokens = 1 << 60, "parameters"),
            (
                "mlp_ratio",
                |c| (c.mlp_layer, c.mlp_ratio) = (MlpLayer::SwiGLUPacked, 2.5),
                "2.5 times a width of 6 is 15, which does not split into the two halves",
            ),
            ("mlp_ratio", |c| (c.mlp_layer, c.mlp_ratio) = (MlpLayer::SwiGLUPacked, 0.2), "no hidden units"),
        ];
        for (field, change, said) in cases {
            let error = refused(change, VitConfig::check);
            assert_eq!(error.field, field, "{error}");
            assert!(error.message.contains(said), "{error}");
        }
    }

    #[test]
    fn a_distilled_network_refuses_what_would_change_its_two_tokens() {
        let cases: [(&str, Change); 8] = [
            ("class_token", |c| (c.class_token, c.global_pool) = (false, GlobalPool::Avg)),
            ("reg_tokens", |c| c.reg_tokens = 1),
            ("pos_embed", |c| c.pos_embed = false),
            ("no_embed_class", |c| c.no_embed_class = true),
            ("pre_norm", |c| c.pre_norm = true),
            ("final_norm", |c| c.final_norm = false),
            ("global_pool", |c| c.global_pool = GlobalPool::Avg),
            ("fc_norm", |c| c.fc_norm = Some(true)),
        ];
        let init = |config: &VitConfig| DistilledVit::init(config, &Device::flex()).map(|_| ());
        for (field, change) in cases {
            let error = refused(change, init);
            assert_eq!(error.field, field, "{error}");
        }
    }

    /// Stages, networks and folders of earlier versions are known by these words.
    #[test]
    fn an_earlier_network_is_described_as_it_was() {
        let written = ron::to_string(&VitConfig::default()).unwrap();
        let earlier = "(image_size:224,patch_size:16,channels:3,classes:1000,dim:192,depth:12,heads:3,mlp_ratio:4.0,\
                       qkv_bias:true,dropout:0.0,drop_path:0.0)";
        assert_eq!(written, earlier);
        for (preset, config) in Vit::presets() {
            assert_eq!(
                ron::from_str::<VitConfig>(&ron::to_string(&config).unwrap()).unwrap(),
                config,
                "{preset}"
            );
        }
    }

    #[test]
    fn the_norm_after_the_blocks_is_where_timm_has_it() {
        let config = VitConfig { image_size: 32, depth: 1, ..VitConfig::default() };
        let norms = |final_norm, global_pool, fc_norm| {
            let config = VitConfig { final_norm, global_pool, fc_norm, ..config.clone() };
            let model = Vit::init(&config, &Device::flex()).unwrap();
            (model.norm.is_some(), model.fc_norm.is_some())
        };
        assert_eq!(norms(true, GlobalPool::Token, None), (true, false));
        assert_eq!(norms(true, GlobalPool::Token, Some(true)), (false, true));
        assert_eq!(norms(true, GlobalPool::Avg, None), (false, true));
        assert_eq!(norms(true, GlobalPool::Avg, Some(false)), (true, false));
        assert_eq!(norms(false, GlobalPool::Avg, None), (false, false));
    }

    #[test]
    fn hidden_units_of_a_giant_are_those_of_dinov2() {
        let giant = VitConfig {
            dim: 1536,
            mlp_ratio: 2.66667 * 2.0,
            mlp_layer: MlpLayer::SwiGLUPacked,
            ..VitConfig::default()
        };
        assert_eq!(giant.hidden(), 4096);
    }
}
