//! What an experiment writes under `config`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitslim_core::prelude::*;

/// Configuration of a [`CoAtNet`](crate::net::CoAtNet).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CoAtNetConfig {
    /// Height and width of an image in pixels; a multiple of 8 strides of the stem. Default: the data's.
    pub image_size: usize,
    /// Channels of an image. Default: the data's.
    pub channels: usize,
    /// Number of classes. Default: the data's.
    pub classes: usize,
    /// Step of the stem's first convolution.
    pub stem_stride: usize,
    /// Width of each stage: two of convolutions, two of attention.
    pub dims: [usize; 4],
    /// Number of blocks of each stage.
    pub depths: [usize; 4],
    /// Dims of an attention head; must divide the widths of the last two stages.
    pub head_dim: usize,
    /// Initial value of LayerScale.
    pub layer_scale: f64,
}

impl Default for CoAtNetConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            channels: 3,
            classes: 1000,
            stem_stride: 2,
            dims: [96, 192, 384, 768],
            depths: [2, 3, 5, 2],
            head_dim: 32,
            layer_scale: 0.1,
        }
    }
}

impl CoAtNetConfig {
    /// An error names the field, so that the runner underlines it in the experiment file.
    pub fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("image_size", self.image_size),
            ("channels", self.channels),
            ("classes", self.classes),
            ("stem_stride", self.stem_stride),
            ("dims", *self.dims.iter().min().unwrap_or(&0)),
            ("depths", *self.depths.iter().min().unwrap_or(&0)),
            ("head_dim", self.head_dim),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(ConfigError::new(field, format!("`{field}` must be at least 1")));
        }
        let divisor = 8 * self.stem_stride;
        if !self.image_size.is_multiple_of(divisor) {
            let message =
                format!("the stages divide the image by {divisor}, and {} does not", self.image_size);
            return Err(ConfigError::new("image_size", message));
        }
        if !self.dims[2..].iter().all(|dim| dim.is_multiple_of(self.head_dim)) {
            return Err(ConfigError::new("head_dim", "heads do not divide the widths of attention"));
        }
        Ok(())
    }

    /// Height and width of the grid of a stage.
    pub fn side(&self, stage: usize) -> usize {
        (self.image_size / self.stem_stride) >> stage
    }
}
