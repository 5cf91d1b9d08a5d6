use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::{ConfigError, limits};
use crate::terminal::counted;

/// Configuration of a [`Swin`](super::Swin).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SwinConfig {
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
    /// Embedding width of the first stage; it doubles from stage to stage.
    #[schemars(extend("minimum" = 1))]
    pub dim: usize,
    /// Number of blocks of each stage.
    pub depths: Vec<usize>,
    /// Attention heads of each stage's blocks; must divide its width.
    pub heads: Vec<usize>,
    /// Height and width of a window in patches; must divide those of each stage, or be no smaller, which makes all of its
    /// patches one window.
    #[schemars(extend("minimum" = 1, "unit" = "patches"))]
    pub window: usize,
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

impl Default for SwinConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            patch_size: 4,
            channels: 3,
            classes: 1000,
            dim: 96,
            depths: vec![2, 2, 6, 2],
            heads: vec![3, 6, 12, 24],
            window: 7,
            mlp_ratio: 4.0,
            qkv_bias: true,
            dropout: 0.0,
            drop_path: 0.0,
        }
    }
}

fn refused(field: &'static str, message: String) -> Result<(), ConfigError> {
    Err(ConfigError::new(field, message))
}

impl SwinConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        limits::sizes(&[
            ("image_size", self.image_size),
            ("patch_size", self.patch_size),
            ("channels", self.channels),
            ("classes", self.classes),
            ("dim", self.dim),
            ("depths", self.depths.iter().copied().min().unwrap_or(0)),
            ("heads", self.heads.iter().copied().min().unwrap_or(0)),
            ("window", self.window),
        ])?;
        self.check_stages()?;
        self.check_window()?;
        limits::rates(&[("dropout", self.dropout), ("drop_path", self.drop_path)])
    }

    fn check_stages(&self) -> Result<(), ConfigError> {
        let stages = self.depths.len();
        if self.heads.len() != stages {
            let heads = counted(self.heads.len(), "number", "numbers");
            return refused(
                "heads",
                format!("`heads` has {heads} and `depths` has {stages}: write one for each stage"),
            );
        }
        limits::stages(self.image_size, self.patch_size, stages)?;
        limits::mlp_ratio(self.mlp_ratio, self.hidden_at(0))?;
        let cause = limits::cause(
            self,
            Self::parameters,
            &[
                ("dim", |config, usual| config.dim = usual.dim),
                ("depths", |config, _| config.depths.fill(2)),
                ("mlp_ratio", |config, usual| config.mlp_ratio = usual.mlp_ratio),
                ("patch_size", |config, usual| config.patch_size = usual.patch_size),
                ("channels", |config, usual| config.channels = usual.channels),
                ("classes", |config, usual| config.classes = usual.classes),
            ],
        );
        limits::parameters(cause, self.parameters())?;
        for (stage, &heads) in self.heads.iter().enumerate() {
            let dim = self.dim_at(stage);
            if !dim.is_multiple_of(heads) {
                return refused(
                    "heads",
                    format!("{heads} heads do not divide the width of {dim} of stage {stage}"),
                );
            }
        }
        Ok(())
    }

    /// About so many parameters.
    pub(super) fn parameters(&self) -> f64 {
        let width = |stage: usize| self.dim as f64 * 2_f64.powi(stage as i32);
        let block = |stage: usize| width(stage) * width(stage) * (4.0 + 2.0 * self.mlp_ratio);
        let blocks = self.depths.iter().enumerate().map(|(stage, depth)| *depth as f64 * block(stage));
        let classifier = width(self.depths.len() - 1) * self.classes as f64;
        let embedding = width(0) * self.channels as f64 * (self.patch_size as f64).powi(2);
        blocks.sum::<f64>() + classifier + embedding
    }

    /// The pairs of patches in all windows: each block keeps what belongs to them.
    pub(super) fn pairs(&self) -> f64 {
        let pairs = |(stage, depth): (usize, &usize)| {
            let side = self.image_size as f64 / self.patch_size as f64 / 2_f64.powi(stage as i32);
            *depth as f64 * (side * side.min(self.window as f64)).powi(2)
        };
        self.depths.iter().enumerate().map(pairs).sum()
    }

    fn check_window(&self) -> Result<(), ConfigError> {
        let fills = |window: usize, stage: usize| {
            let side = self.side_at(stage);
            side <= window || side.is_multiple_of(window)
        };
        let stages = 0..self.depths.len();
        let Some(stage) = stages.clone().find(|stage| !fills(self.window, *stage)) else {
            return limits::parameters("window", self.pairs());
        };
        let (window, side) = (self.window, self.side_at(stage));
        let message = format!(
            "windows of {window} x {window} do not fill the {side} x {side} patches of stage {stage}; for images of {} pixels \
             in patches of {}, `window` can be {}",
            self.image_size,
            self.patch_size,
            limits::those_that_work(self.side_at(0), |window| stages
                .clone()
                .all(|stage| fills(window, stage)))
        );
        refused("window", message)
    }

    /// Embedding width of a stage.
    pub(super) fn dim_at(&self, stage: usize) -> usize {
        self.dim << stage
    }

    /// Hidden units of an MLP of a stage.
    pub(super) fn hidden_at(&self, stage: usize) -> usize {
        (self.dim_at(stage) as f64 * self.mlp_ratio) as usize
    }

    /// Patches along each side of the image in a stage.
    pub(super) fn side_at(&self, stage: usize) -> usize {
        (self.image_size / self.patch_size) >> stage
    }

    /// Rate of stochastic depth of a block, whose blocks before are counted through all stages.
    pub(super) fn drop_path_at(&self, blocks_before: usize) -> f64 {
        let last = self.depths.iter().sum::<usize>().saturating_sub(1).max(1);
        self.drop_path * blocks_before as f64 / last as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> SwinConfig {
        SwinConfig {
            image_size: 32,
            patch_size: 4,
            dim: 8,
            depths: vec![2, 2],
            heads: vec![2, 4],
            window: 4,
            ..SwinConfig::default()
        }
    }

    #[test]
    fn what_describes_no_model_is_refused_by_field_with_what_would_be_right() {
        assert_eq!(small().check(), Ok(()));
        assert_eq!(SwinConfig::default().check(), Ok(()));
        type Change = fn(&mut SwinConfig);
        let cases: [(&str, Change, &str); 18] = [
            ("window", |c| c.window = 3, "3 x 3 do not fill the 8 x 8 patches of stage 0"),
            ("window", |c| c.window = 3, "`window` can be 1, 2, 4, 8"),
            ("window", |c| c.window = 0, "at least 1"),
            ("patch_size", |c| c.patch_size = 5, "patch sizes that work: 1, 2, 4, 8, 16"),
            ("patch_size", |c| c.patch_size = 32, "2 stages can merge two by two"),
            // Twice this is 2, if what is over is dropped.
            ("patch_size", |c| c.patch_size = (1 << 63) + 1, "patch sizes that work: 1, 2"),
            ("patch_size", |c| (c.image_size, c.patch_size) = (1 << 60, 3), "patch sizes that work: 1, 2"),
            ("window", |c| (c.image_size, c.window) = (1 << 16, 1 << 14), "parameters"),
            ("mlp_ratio", |c| c.mlp_ratio = f64::INFINITY, "no hidden units"),
            ("depths", |c| (c.depths, c.heads) = (vec![1; 70], vec![1; 70]), "at most 6 stages"),
            ("depths", |c| c.depths = vec![2, 0], "at least 1"),
            ("depths", |c| c.depths = vec![], "at least 1"),
            ("heads", |c| c.heads = vec![2], "`heads` has 1 number and `depths` has 2"),
            ("heads", |c| c.heads = vec![2, 3], "3 heads do not divide the width of 16 of stage 1"),
            ("dim", |c| c.dim = 1 << 60, "parameters"),
            ("mlp_ratio", |c| c.mlp_ratio = 1e30, "parameters"),
            ("depths", |c| c.depths = vec![2, 1 << 50], "parameters"),
            ("classes", |c| c.classes = 1 << 50, "parameters"),
        ];
        for (field, change, said) in cases {
            let mut config = small();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert_eq!(error.field, field, "{error}");
            assert!(error.message.contains(said), "{error}");
        }
        // A window larger than a stage is all of it.
        for window in [1, 2, 4, 8, 9, 100] {
            assert_eq!(SwinConfig { window, ..small() }.check(), Ok(()), "{window}");
        }
    }
}
