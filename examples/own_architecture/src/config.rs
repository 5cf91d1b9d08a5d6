//! What an experiment writes under `config`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitslim_core::prelude::*;

/// Configuration of a [`ParallelNet`](crate::net::ParallelNet).
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ParallelConfig {
    /// Height and width of an image in pixels. Default: the data's.
    pub image_size: usize,
    /// Channels of an image. Default: the data's.
    pub channels: usize,
    /// Number of classes. Default: the data's.
    pub classes: usize,
    /// Height and width of a patch in pixels; must divide the image size.
    pub patch_size: usize,
    /// Embedding width.
    pub dim: usize,
    /// Number of blocks.
    pub depth: usize,
    /// Attention heads of a block; must divide the width.
    pub heads: usize,
    /// Hidden units of a block.
    pub hidden: usize,
}

impl Default for ParallelConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            channels: 3,
            classes: 1000,
            patch_size: 16,
            dim: 192,
            depth: 12,
            heads: 3,
            hidden: 512,
        }
    }
}

impl ParallelConfig {
    /// An error names the field, so that the runner underlines it in the experiment file.
    pub fn check(&self) -> Result<(), ConfigError> {
        let sizes = [
            ("image_size", self.image_size),
            ("channels", self.channels),
            ("classes", self.classes),
            ("patch_size", self.patch_size),
            ("dim", self.dim),
            ("depth", self.depth),
            ("heads", self.heads),
            ("hidden", self.hidden),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return Err(ConfigError::new(field, format!("`{field}` must be at least 1")));
        }
        if !self.image_size.is_multiple_of(self.patch_size) {
            return Err(ConfigError::new("patch_size", "patches do not divide the image"));
        }
        if !self.dim.is_multiple_of(self.heads) {
            return Err(ConfigError::new("heads", "heads do not divide the width"));
        }
        Ok(())
    }

    /// Number of patches of an image.
    pub fn patches(&self) -> usize {
        (self.image_size / self.patch_size).pow(2)
    }
}
