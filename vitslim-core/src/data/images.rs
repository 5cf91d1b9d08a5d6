//! Labelled images, in memory or in files.

use std::path::PathBuf;
use std::time::UNIX_EPOCH;

use sha2::{Digest, Sha256};

use super::crop::Crop;
use super::decode::read_image;
use super::{DataError, ImageShape};

/// Labelled images before normalisation.
#[derive(Debug)]
pub(super) struct Images {
    pub(super) shape: ImageShape,
    /// The pixel value that is taken as 1.
    pub(super) white: u8,
    /// The class of each image.
    pub(super) labels: Vec<u32>,
    pub(super) pixels: Pixels,
}

/// Where the pixels are.
#[derive(Debug)]
pub(super) enum Pixels {
    /// In memory: images one after another, each `[channels, height, width]`.
    Memory(Vec<u8>),
    /// One file per image, read on demand.
    Files(Vec<PathBuf>, Crop),
}

impl Images {
    /// Reads image `index` into `image`, `[channels, height, width]`.
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

    /// Hashes image `index`: its label, and its pixels or the current state of its file.
    pub(super) fn fingerprint(&self, index: usize, hash: &mut Sha256) {
        hash.update(self.labels[index].to_le_bytes());
        match &self.pixels {
            Pixels::Memory(pixels) => {
                let values = self.shape.values();
                hash.update(&pixels[index * values..(index + 1) * values]);
            }
            Pixels::Files(paths, _) => {
                let path = &paths[index];
                hash.update(path.as_os_str().as_encoded_bytes());
                // A file that is gone is reported by whoever reads it.
                if let Ok(file) = path.metadata() {
                    let changed = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
                    hash.update(file.len().to_le_bytes());
                    hash.update(changed.map_or(0, |since| since.as_nanos()).to_le_bytes());
                }
            }
        }
    }

    pub(super) fn are_files(&self) -> bool {
        matches!(self.pixels, Pixels::Files(..))
    }
}
