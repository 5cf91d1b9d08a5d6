//! Images that lie in files, and are decoded on demand.

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
use super::source::Sources;

/// How images are decoded, resized and cropped. Raise it with each change after which that gives other pixels: what was counted of them
/// is kept, and so is what was trained on them.
pub(super) const PIXELS: u32 = 2;

/// Images that are read from their files on demand.
#[derive(Debug)]
pub(super) struct ImageFiles {
    /// The folder that they are in.
    pub(super) root: PathBuf,
    /// Where the bytes of each image are.
    pub(super) sources: Sources,
    /// What is seen of an image.
    pub(super) crop: Crop,
    /// How the files are read.
    pub(super) reading: Reading,
    /// Those that cannot be read.
    pub(super) left_out: LeftOut,
    /// The digests of the images, once they were asked for.
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
        let source = self.sources.get(index);
        match read_image(source) {
            Ok(found) => {
                let image = found.image;
                let (height, width) = (image.height() as usize, image.width() as usize);
                Ok(Ok(Raster::of_rgb(height, width, image.as_raw())))
            }
            Err(Unreadable::Flawed(reason)) => Ok(Err(Flawed { path: source.path().into_owned(), reason })),
            Err(Unreadable::Refused(reason)) => Err(DataError::file(&source.path(), reason)),
        }
    }

    /// The digests of the images. Files are read when this is first asked for, unless the index knows them; shards were read before.
    pub(super) fn digests(&self) -> &Digests {
        self.digests.get_or_init(|| match &self.sources {
            Sources::Files(paths) => digests(&self.root, paths, &self.reading),
            Sources::Members { members, .. } => {
                Digests { of: members.iter().map(|member| member.digest).collect(), ..Digests::default() }
            }
        })
    }

    /// Whether they lie in shards.
    pub(super) fn are_in_shards(&self) -> bool {
        matches!(self.sources, Sources::Members { .. })
    }

    /// Checks that the system lets us read each file.
    ///
    /// # Errors
    ///
    /// When it does not.
    pub(super) fn check_files(&self) -> Result<(), DataError> {
        match self.digests().refused.first() {
            Some((index, reason)) => Err(DataError::file(&self.sources.get(*index).path(), reason)),
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
