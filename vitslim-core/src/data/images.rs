//! Labelled images as they lie in memory or in files.

use std::path::PathBuf;

use super::folder::{Crop, read_image};
use super::{DataError, ImageShape};

/// Labelled images before normalisation.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) shape: ImageShape,
    /// The pixel value that counts as 1.
    pub(super) white: u8,
    /// The class of each image.
    pub(super) labels: Vec<u32>,
    pub(super) pixels: Pixels,
}

/// Where the pixels are.
#[derive(Debug)]
pub(super) enum Pixels {
    /// Here, images one after another, each `[channels, height, width]`.
    Memory(Vec<u8>),
    /// In a file an image, read when they are asked for.
    Files(Vec<PathBuf>, Crop),
}

impl Images {
    /// Puts image `index` into `image`, `[channels, height, width]`.
    pub(super) fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        match &self.pixels {
            Pixels::Memory(pixels) => {
                image.copy_from_slice(&pixels[index * image.len()..(index + 1) * image.len()]);
                Ok(())
            }
            Pixels::Files(paths, crop) => {
                let path = &paths[index];
                let found = read_image(path).map_err(|reason| DataError::file(path, reason))?;
                crop.apply(found.image, image);
                Ok(())
            }
        }
    }

    pub(super) fn are_files(&self) -> bool {
        matches!(self.pixels, Pixels::Files(..))
    }
}
