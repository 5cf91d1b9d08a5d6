//! Images of which each has its own file.

use std::path::PathBuf;
use std::sync::OnceLock;

use sha2::{Digest, Sha256};

use super::DataError;
use super::augment::Raster;
use super::cache::Cache;
use super::crop::Crop;
use super::decode::{Unreadable, read_image};
use super::index::{Digests, digests};
use super::left_out::{Flawed, LeftOut};
use super::reading::Reading;

/// How images are decoded, resized and cropped. Raise it with each change after which that gives other pixels: what was counted of them
/// is kept, and so is what was trained on them.
pub(super) const PIXELS: u32 = 2;

/// Images that are read from their files on demand.
#[derive(Debug)]
pub(super) struct ImageFiles {
    /// The folder that they are in.
    pub(super) root: PathBuf,
    /// The file of each image.
    pub(super) paths: Vec<PathBuf>,
    /// What is seen of an image.
    pub(super) crop: Crop,
    /// How the files are read.
    pub(super) reading: Reading,
    /// Those that cannot be read.
    pub(super) left_out: LeftOut,
    /// The digests of the files, once they were asked for.
    pub(super) digests: OnceLock<Digests>,
}

impl ImageFiles {
    /// Reads image `index` into `image`, `[3, height, width]`. Answers with what is wrong with it if it is to be left out.
    ///
    /// # Errors
    ///
    /// When the system does not let us read its file: another time it may, and a run would not end with the same numbers.
    pub(super) fn read(&self, index: usize, image: &mut [u8]) -> Result<Option<Flawed>, DataError> {
        Ok(self.decoded(index)?.map(|whole| self.crop.apply(&whole, image)).err())
    }

    /// Image `index`, whole, or what is wrong with it if it is to be left out.
    ///
    /// # Errors
    ///
    /// Those of [`ImageFiles::read`].
    pub(super) fn decoded(&self, index: usize) -> Result<Result<Raster, Flawed>, DataError> {
        let path = &self.paths[index];
        match read_image(path) {
            Ok(found) => {
                let image = found.image;
                let (height, width) = (image.height() as usize, image.width() as usize);
                Ok(Ok(Raster::of_rgb(height, width, image.as_raw())))
            }
            Err(Unreadable::Flawed(reason)) => Ok(Err(Flawed { path: path.clone(), reason })),
            Err(Unreadable::Refused(reason)) => Err(DataError::file(path, reason)),
        }
    }

    /// The digests of the files, which are read when this is first asked for, unless the index knows them.
    pub(super) fn digests(&self) -> &Digests {
        self.digests.get_or_init(|| digests(&self.root, &self.paths, &self.reading))
    }

    /// Checks that the system lets us read each file.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(super) fn check_files(&self) -> Result<(), DataError> {
        match self.digests().refused.first() {
            Some((index, reason)) => Err(DataError::file(&self.paths[*index], reason)),
            None => Ok(()),
        }
    }

    /// The name under which is kept what was counted in the images `indices`: the same for the same images, wherever they lie.
    pub(super) fn name_of_count(&self, indices: &[usize]) -> String {
        let Crop { resize, size } = self.crop;
        let (version, processor) = (env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
        let mut hash = Sha256::new();
        hash.update(format!("{PIXELS} {version} {processor} {resize} {size} "));
        indices.iter().for_each(|&index| hash.update(self.digests().of[index]));
        Cache::name("count", hash)
    }
}
