//! Labelled images, in memory or in files.

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::augment::Raster;
use super::image_files::ImageFiles;
use super::left_out::Flawed;
use super::normalisation::Histogram;
use super::source::ImageDigest;
use super::{DataError, ImageShape};
use crate::progress::Progress;

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
    /// In files of their own or in shards, read on demand.
    Files(Box<ImageFiles>),
}

/// What was counted in some images.
#[derive(Serialize, Deserialize)]
struct Count {
    histogram: Histogram,
    /// The place among them of each that cannot be read, and why.
    flaws: Vec<(usize, String)>,
}

impl Images {
    /// Reads image `index` into `image`, `[channels, height, width]`. Answers with what is wrong with it if it is to be left out.
    ///
    /// # Errors
    ///
    /// When the system does not let us read its file.
    pub(super) fn read(&self, index: usize, image: &mut [u8]) -> Result<Option<Flawed>, DataError> {
        match &self.pixels {
            Pixels::Memory(pixels) => {
                image.copy_from_slice(&pixels[index * image.len()..(index + 1) * image.len()]);
                Ok(None)
            }
            Pixels::Files(files) => files.read(index, image),
        }
    }

    /// Image `index`, whole: before the middle of what lies in a file is cut out.
    ///
    /// # Errors
    ///
    /// Those of [`Images::read`].
    pub(super) fn read_whole(&self, index: usize) -> Result<Result<Raster, Flawed>, DataError> {
        match &self.pixels {
            Pixels::Memory(pixels) => {
                let values = self.shape.values();
                let image = &pixels[index * values..(index + 1) * values];
                Ok(Ok(Raster::of_planes(self.shape.size, self.shape.size, image)))
            }
            Pixels::Files(files) => files.decoded(index),
        }
    }

    /// Leaves out `flawed` images. Those not met before are named on the terminal.
    ///
    /// # Errors
    ///
    /// When there are too many, those from before included.
    pub(super) fn leave_out(&self, flawed: Vec<Flawed>) -> Result<(), DataError> {
        self.files().map_or(Ok(()), |files| files.left_out.add(flawed))
    }

    /// How often each pixel value occurs in the images `indices`. Those that cannot be read are left out. Of files it is kept for the
    /// next time.
    ///
    /// # Errors
    ///
    /// When too many are to be left out, or the system does not let us read a file.
    pub(super) fn histogram(&self, indices: &[usize]) -> Result<Histogram, DataError> {
        let Some(files) = self.files() else { return Ok(self.count(indices)?.histogram) };
        let name = files.name_of_count(indices);
        let kept = if files.reading.anew { None } else { files.reading.cache.read(&name) };
        let count = match kept.and_then(|bytes| postcard::from_bytes(&bytes).ok()) {
            Some(count) => count,
            None => {
                let count = self.count(indices)?;
                // Nothing in it can fail to be written.
                if let Ok(bytes) = postcard::to_extend(&count, Vec::new()) {
                    files.reading.cache.write(&name, bytes);
                }
                count
            }
        };
        let flawed = |(place, reason): (usize, String)| Flawed {
            path: files.sources.get(indices[place]).path().into_owned(),
            reason,
        };
        files.left_out.add(count.flaws.into_iter().map(flawed))?;
        Ok(count.histogram)
    }

    fn count(&self, indices: &[usize]) -> Result<Count, DataError> {
        let shape = self.shape;
        let quiet = self.files().is_none_or(|files| files.reading.quiet);
        let progress =
            Progress::new("decoding images, to normalise all by their colours", Some(indices.len()), quiet);
        let empty = || (Count::new(shape.channels), vec![0; shape.values()]);
        let count = |(mut count, mut image): (Count, Vec<u8>), (place, &index): (usize, &usize)| {
            match self.read(index, &mut image)? {
                None => count.histogram.add(&image, shape),
                Some(Flawed { reason, .. }) => count.flaws.push((place, reason)),
            }
            progress.add();
            Ok((count, image))
        };
        indices
            .par_iter()
            .enumerate()
            .try_fold(empty, count)
            .map(|counted| counted.map(|(count, _)| count))
            .try_reduce(|| Count::new(shape.channels), |a, b| Ok(a.merge(b)))
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
            Pixels::Files(files) => &files.digests().of,
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

    /// Whether they lie in shards, which are read fastest from one end to the other.
    pub(super) fn are_in_shards(&self) -> bool {
        self.files().is_some_and(ImageFiles::are_in_shards)
    }

    pub(super) fn are_files(&self) -> bool {
        self.files().is_some()
    }

    /// Where the images are, if they are in files.
    pub(super) fn files(&self) -> Option<&ImageFiles> {
        match &self.pixels {
            Pixels::Memory(_) => None,
            Pixels::Files(files) => Some(files),
        }
    }
}

impl Count {
    fn new(channels: usize) -> Self {
        Self { histogram: Histogram::new(channels), flaws: Vec::new() }
    }

    /// What was counted in the images of both, those of `other` behind the others.
    fn merge(mut self, mut other: Self) -> Self {
        self.flaws.append(&mut other.flaws);
        Self { histogram: self.histogram.merge(other.histogram), ..self }
    }
}
