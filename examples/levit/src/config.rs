//! What an experiment writes under `config`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use vitslim_core::prelude::*;

/// Configuration of a [`Levit`](crate::net::Levit). The default is LeViT-128S.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LevitConfig {
    /// Height and width of an image in pixels. Default: the data's.
    pub image_size: usize,
    /// Channels of an image. Default: the data's.
    pub channels: usize,
    /// Number of classes. Default: the data's.
    pub classes: usize,
    /// Channels of the convolutions before the embedding. Each halves the image.
    pub stem: Vec<usize>,
    /// Step of the embedding, which is a convolution too: 2 halves the image once more.
    pub stride: usize,
    /// Width of each stage. Each but the first begins with an attention that halves the image.
    pub dims: Vec<usize>,
    /// Blocks of each stage.
    pub depths: Vec<usize>,
    /// Attention heads of the blocks of each stage.
    pub heads: Vec<usize>,
    /// Dims of the queries and keys of a head. Values have twice as many; those of an attention that halves the image, four times.
    pub key_dim: usize,
    /// Hidden units of an MLP, as a multiple of the width.
    pub mlp_ratio: usize,
}

impl Default for LevitConfig {
    fn default() -> Self {
        Self {
            image_size: 224,
            channels: 3,
            classes: 1000,
            stem: vec![16, 32, 64],
            stride: 2,
            dims: vec![128, 256, 384],
            depths: vec![2, 3, 4],
            heads: vec![4, 6, 8],
            key_dim: 16,
            mlp_ratio: 2,
        }
    }
}

impl LevitConfig {
    /// An error names the field, so that the runner underlines it in the experiment file.
    pub fn check(&self) -> Result<(), ConfigError> {
        let refused = |field, message: &str| Err(ConfigError::new(field, message));
        let lists =
            [("stem", &self.stem), ("dims", &self.dims), ("depths", &self.depths), ("heads", &self.heads)];
        if let Some((field, _)) = lists.into_iter().find(|(_, sizes)| sizes.contains(&0)) {
            return refused(field, "each must be at least 1");
        }
        if self.dims.len() < 2 {
            return refused("dims", "a LeViT has at least two stages");
        }
        if self.depths.len() != self.dims.len() {
            return refused("depths", "there must be as many as `dims`");
        }
        if self.heads.len() != self.dims.len() {
            return refused("heads", "there must be as many as `dims`");
        }
        let sizes = [
            ("image_size", self.image_size),
            ("channels", self.channels),
            ("classes", self.classes),
            ("stride", self.stride),
            ("key_dim", self.key_dim),
            ("mlp_ratio", self.mlp_ratio),
        ];
        if let Some((field, _)) = sizes.into_iter().find(|(_, size)| *size == 0) {
            return refused(field, "it must be at least 1");
        }
        let halved = &self.dims[..self.dims.len() - 1];
        if let Some(dim) = halved.iter().find(|dim| *dim % self.key_dim != 0) {
            let message = format!("{} does not divide the width {dim} of a stage", self.key_dim);
            return refused("key_dim", &message);
        }
        Ok(())
    }

    /// Patches along each side of the image in each stage. A remainder counts, as the padding of a convolution has it.
    pub fn sides(&self) -> Vec<usize> {
        let stem = self.stem.iter().fold(self.image_size, |side, _| side.div_ceil(2));
        let first = stem.div_ceil(self.stride);
        (0..self.dims.len()).scan(first, |side, _| Some(std::mem::replace(side, side.div_ceil(2)))).collect()
    }
}
