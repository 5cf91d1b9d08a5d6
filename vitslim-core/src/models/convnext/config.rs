use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::{ConfigError, limits};
use crate::terminal::counted;

/// Configuration of a [`ConvNext`](super::ConvNext).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ConvNextConfig {
    /// Height and width of an image in pixels. Defaults to that of the data.
    #[schemars(extend("minimum" = 1, "unit" = "pixels"))]
    pub image_size: usize,
    /// Height and width of a patch of the stem in pixels; must divide the image size so that each stage but the first can halve
    /// what is left.
    #[schemars(extend("minimum" = 1, "unit" = "pixels"))]
    pub patch_size: usize,
    /// Channels of an image. Defaults to that of the data.
    #[schemars(extend("minimum" = 1))]
    pub channels: usize,
    /// Number of classes. Defaults to that of the data.
    #[schemars(extend("minimum" = 1))]
    pub classes: usize,
    /// Width of each stage.
    pub dims: Vec<usize>,
    /// Number of blocks of each stage.
    pub depths: Vec<usize>,
    /// Height and width of the kernel of a depthwise convolution; odd.
    #[schemars(extend("minimum" = 1))]
    pub kernel_size: usize,
    /// Hidden units of an MLP, as a multiple of the width.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub mlp_ratio: f64,
    /// What the scale of each branch starts from.
    pub layer_scale: f64,
    /// Probability of skipping the branch (stochastic depth) of the last block; it grows linearly with depth from 0.
    #[schemars(extend("minimum" = 0, "exclusiveMaximum" = 1))]
    pub drop_path: f64,
}

impl Default for ConvNextConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            patch_size: 4,
            channels: 3,
            classes: 1000,
            dims: vec![96, 192, 384, 768],
            depths: vec![3, 3, 9, 3],
            kernel_size: 7,
            mlp_ratio: 4.0,
            layer_scale: 1e-6,
            drop_path: 0.0,
        }
    }
}

fn refused(field: &'static str, message: String) -> Result<(), ConfigError> {
    Err(ConfigError::new(field, message))
}

impl ConvNextConfig {
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let narrowest = self.dims.iter().copied().min().unwrap_or(0);
        limits::sizes(&[
            ("image_size", self.image_size),
            ("patch_size", self.patch_size),
            ("channels", self.channels),
            ("classes", self.classes),
            ("dims", narrowest),
            ("depths", self.depths.iter().copied().min().unwrap_or(0)),
            ("kernel_size", self.kernel_size),
        ])?;
        let stages = self.depths.len();
        if self.dims.len() != stages {
            let dims = counted(self.dims.len(), "number", "numbers");
            let message = format!("`dims` has {dims} and `depths` has {stages}: write one for each stage");
            return refused("dims", message);
        }
        limits::stages(self.image_size, self.patch_size, stages)?;
        if self.kernel_size.is_multiple_of(2) {
            let size = self.kernel_size;
            let message = format!(
                "a kernel of {size} x {size} has no middle, and would shift the image: write {} or {}",
                size - 1,
                size.saturating_add(1)
            );
            return refused("kernel_size", message);
        }
        limits::finite("layer_scale", self.layer_scale)?;
        limits::mlp_ratio(self.mlp_ratio, self.hidden(narrowest))?;
        limits::rates(&[("drop_path", self.drop_path)])?;
        let cause = limits::cause(
            self,
            Self::parameters,
            &[
                ("dims", |config, _| config.dims.fill(96)),
                ("depths", |config, _| config.depths.fill(2)),
                ("kernel_size", |config, usual| config.kernel_size = usual.kernel_size),
                ("mlp_ratio", |config, usual| config.mlp_ratio = usual.mlp_ratio),
                ("patch_size", |config, usual| config.patch_size = usual.patch_size),
                ("channels", |config, usual| config.channels = usual.channels),
                ("classes", |config, usual| config.classes = usual.classes),
            ],
        );
        limits::parameters(cause, self.parameters())
    }

    /// About so many parameters.
    pub(super) fn parameters(&self) -> f64 {
        let width = |stage: usize| self.dims[stage] as f64;
        let block = |stage: usize| {
            width(stage) * (2.0 * width(stage) * self.mlp_ratio + (self.kernel_size as f64).powi(2))
        };
        let stages = 0..self.dims.len();
        let blocks: f64 = stages.clone().map(|stage| self.depths[stage] as f64 * block(stage)).sum();
        let between: f64 = stages.clone().skip(1).map(|stage| 4.0 * width(stage - 1) * width(stage)).sum();
        let stem = width(0) * self.channels as f64 * (self.patch_size as f64).powi(2);
        blocks + between + stem + width(stages.end - 1) * self.classes as f64
    }

    fn hidden(&self, dim: usize) -> usize {
        (dim as f64 * self.mlp_ratio) as usize
    }

    /// Hidden units of an MLP of a stage.
    pub(super) fn hidden_at(&self, stage: usize) -> usize {
        self.hidden(self.dims[stage])
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

    fn small() -> ConvNextConfig {
        ConvNextConfig {
            image_size: 32,
            dims: vec![8, 4],
            depths: vec![2, 1],
            kernel_size: 3,
            ..ConvNextConfig::default()
        }
    }

    #[test]
    fn what_describes_no_model_is_refused_by_field_with_what_would_be_right() {
        assert_eq!(small().check(), Ok(()));
        assert_eq!(ConvNextConfig::default().check(), Ok(()));
        type Change = fn(&mut ConvNextConfig);
        let cases: [(&str, Change, &str); 23] = [
            ("image_size", |c| c.image_size = 0, "at least 1"),
            ("patch_size", |c| c.image_size = 28, "patch sizes that work: 1, 2, 7, 14"),
            ("patch_size", |c| c.patch_size = 5, "patch sizes that work: 1, 2, 4, 8, 16"),
            ("patch_size", |c| c.patch_size = 32, "2 stages can merge two by two"),
            ("channels", |c| c.channels = 0, "at least 1"),
            ("classes", |c| c.classes = 0, "at least 1"),
            ("dims", |c| c.dims = vec![8, 0], "at least 1"),
            ("dims", |c| c.dims = vec![8], "`dims` has 1 number and `depths` has 2"),
            ("dims", |c| c.dims = vec![8, 1 << 60], "parameters"),
            ("depths", |c| c.depths = vec![2, 1 << 60], "parameters"),
            ("kernel_size", |c| c.kernel_size = (1 << 60) + 1, "parameters"),
            ("mlp_ratio", |c| c.mlp_ratio = 1e30, "parameters"),
            ("kernel_size", |c| (c.kernel_size, c.mlp_ratio) = ((1 << 60) + 1, 1e30), "parameters"),
            ("depths", |c| c.depths = vec![2, 0], "at least 1"),
            ("depths", |c| c.depths = vec![], "at least 1"),
            ("depths", |c| (c.depths, c.dims) = (vec![1; 7], vec![1; 7]), "at most 6 stages"),
            ("kernel_size", |c| c.kernel_size = 6, "write 5 or 7"),
            ("kernel_size", |c| c.kernel_size = 0, "at least 1"),
            ("mlp_ratio", |c| c.mlp_ratio = 0.2, "no hidden units"),
            ("mlp_ratio", |c| c.mlp_ratio = f64::INFINITY, "no hidden units"),
            ("layer_scale", |c| c.layer_scale = f64::NAN, "finite"),
            ("layer_scale", |c| c.layer_scale = 1e39, "finite in 32 bits"),
            ("drop_path", |c| c.drop_path = 1.0, "0 to below 1"),
        ];
        for (field, change, said) in cases {
            let mut config = small();
            change(&mut config);
            let error = config.check().unwrap_err();
            assert_eq!(error.field, field, "{error}");
            assert!(error.message.contains(said), "{error}");
        }
    }
}
