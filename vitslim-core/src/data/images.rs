//! Labelled images, in memory or in files.

use std::path::PathBuf;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::augment::Raster;
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
    Files {
        /// The file of each image.
        paths: Vec<PathBuf>,
        /// The digest of each image.
        digests: Vec<ImageDigest>,
        /// What is seen of an image.
        crop: Crop,
    },
}

/// SHA-256 of an image: of the bytes of its file, which no version of a decoder changes, or of its pixels if it has no file.
pub(super) type ImageDigest = [u8; 32];

impl Images {
    /// Reads image `index` into `image`, `[channels, height, width]`.
    pub(super) fn read(&self, index: usize, image: &mut [u8]) -> Result<(), DataError> {
        match &self.pixels {
            Pixels::Memory(pixels) => {
                image.copy_from_slice(&pixels[index * image.len()..(index + 1) * image.len()]);
                Ok(())
            }
            Pixels::Files { paths, crop, .. } => {
                let path = &paths[index];
                let found = read_image(path).map_err(|reason| DataError::file(path, reason))?;
                crop.apply(found.image, image);
                Ok(())
            }
        }
    }

    /// Image `index`, whole: before the middle of what lies in a file is cut out.
    pub(super) fn read_whole(&self, index: usize) -> Result<Raster, DataError> {
        match &self.pixels {
            Pixels::Memory(_) => {
                let mut image = vec![0; self.shape.values()];
                self.read(index, &mut image)?;
                Ok(Raster::new(self.shape.size, self.shape.size, image))
            }
            Pixels::Files { paths, .. } => {
                let path = &paths[index];
                let found = read_image(path).map_err(|reason| DataError::file(path, reason))?.image;
                let plane = |channel| found.as_raw().iter().skip(channel).step_by(3).copied();
                let pixels = (0..3).flat_map(plane).collect();
                Ok(Raster::new(found.height() as usize, found.width() as usize, pixels))
            }
        }
    }

    /// SHA-256 over the digest and the class name of each image, in their order.
    pub(super) fn sha256(&self, class_names: &[String]) -> String {
        let of_memory: Vec<ImageDigest>;
        let digests = match &self.pixels {
            Pixels::Memory(pixels) => {
                let images = pixels.par_chunks_exact(self.shape.values());
                of_memory = images.map(|image| Sha256::digest(image).into()).collect();
                &of_memory
            }
            Pixels::Files { digests, .. } => digests,
        };
        let mut hash = Sha256::new();
        for (digest, &label) in digests.iter().zip(&self.labels) {
            let name = &class_names[label as usize];
            hash.update(digest);
            hash.update((name.len() as u64).to_le_bytes());
            hash.update(name);
        }
        format!("{:x}", hash.finalize())
    }

    pub(super) fn are_files(&self) -> bool {
        matches!(self.pixels, Pixels::Files { .. })
    }
}
