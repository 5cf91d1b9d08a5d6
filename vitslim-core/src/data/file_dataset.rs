//! A dataset whose images lie in files, whatever their layout.

use std::path::PathBuf;
use std::sync::OnceLock;

use super::check::check;
use super::crop::Crop;
use super::image_files::ImageFiles;
use super::images::{Images, Pixels};
use super::left_out::LeftOut;
use super::source::Sources;
use super::split::Chosen;
use super::{DataError, Dataset, ImageShape, Preparation, Reading};

/// Largest height and width to resize to; a larger number is taken for a typing error.
const MOST_PIXELS: usize = 1 << 14;

/// Which images are held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeldOutFrom {
    /// `val`, if there is `test` too, otherwise a share of `train`.
    ValOrShare,
    /// A share of `train`.
    Share,
}

impl HeldOutFrom {
    /// The names of the validation and of the test split, given whether there are `val` and `test`. There is none of a validation split
    /// that is drawn from `train`. `None` without a test split.
    pub(super) fn splits(self, val: bool, test: bool) -> Option<(Option<&'static str>, &'static str)> {
        match (val, test) {
            (true, true) if self == Self::ValOrShare => Some((Some("val"), "test")),
            (true, _) => Some((None, "val")),
            (false, true) => Some((None, "test")),
            (false, false) => None,
        }
    }
}

/// The note that the split `ignored` is not used, because `test`, which is the other of `val` and `test`, is the test split.
pub(super) fn note_of_ignored(ignored: &str, test: &str) -> String {
    format!(
        "`{ignored}` is ignored: with `held_out`, the validation split is drawn from `train`, and `{test}` is the test split"
    )
}

/// What is seen of images in files, and how they are read.
#[derive(Clone, Copy, Debug)]
pub(super) struct FileSettings<'a> {
    /// Height and width of the model's input in pixels.
    pub(super) image_size: usize,
    /// Length in pixels that the shorter side is resized to before the centre crop.
    pub(super) resize: usize,
    /// Most unreadable images of a split to leave out.
    pub(super) skip_at_most: usize,
    /// Most files of a kind that are named in an error or a note.
    pub(super) named: usize,
    /// How the files are read.
    pub(super) reading: &'a Reading,
}

impl FileSettings<'_> {
    /// Checks that images can be resized and cropped so.
    ///
    /// # Errors
    ///
    /// When a size is too large, or there are not enough pixels to crop.
    pub(super) fn check(&self) -> Result<(), DataError> {
        let Self { image_size, resize, .. } = self;
        let settings: [(&'static [&'static str], _); 2] =
            [(&["image_size"], image_size), (&["resize"], resize)];
        if let Some((setting, pixels)) = settings.into_iter().find(|(_, pixels)| **pixels > MOST_PIXELS) {
            let reason =
                format!("is {pixels}, but images are read in at most {MOST_PIXELS} x {MOST_PIXELS} pixels");
            return Err(DataError::setting(setting, reason));
        }
        if resize < image_size {
            let reason = format!("is {resize}, less than the {image_size} pixels that are cropped from it");
            return Err(DataError::setting(&["resize"], reason));
        }
        Ok(())
    }

    /// What an image is.
    pub(super) fn shape(&self) -> ImageShape {
        ImageShape { channels: 3, size: self.image_size }
    }

    /// The images at `sources` in the folder `root`, with their `labels`.
    pub(super) fn images(&self, root: PathBuf, sources: Sources, labels: Vec<u32>) -> Images {
        let files = ImageFiles {
            root,
            sources,
            crop: Crop { resize: self.resize, size: self.image_size },
            reading: self.reading.clone(),
            left_out: LeftOut::new(self.skip_at_most, self.named),
            digests: OnceLock::new(),
        };
        Images { shape: self.shape(), white: 255, labels, pixels: Pixels::Files(Box::new(files)) }
    }

    /// The dataset of the images `train`, `test` and, if they are not held out of `train`, `val`. What a user should know about the files
    /// is in `notes`.
    ///
    /// # Errors
    ///
    /// When the system does not let us read a file, or of the images that are decoded more cannot be read than may be left out.
    pub(super) fn dataset(
        &self,
        [train, test]: [Images; 2],
        val: Option<Images>,
        class_names: Vec<String>,
        mut notes: Vec<String>,
        preparation: &Preparation,
    ) -> Result<Dataset, DataError> {
        let splits = [Some(&train), Some(&test), val.as_ref()].into_iter().flatten();
        let splits: Vec<&ImageFiles> = splits.filter_map(Images::files).collect();
        splits.iter().try_for_each(|files| files.check_files())?;
        if self.reading.anew {
            notes.extend(check(&splits)?);
        }
        let mut dataset = match val {
            None => Dataset::hold_out(train, test, class_names, preparation)?,
            Some(val) => {
                let splits = [train, val, test].map(Chosen::all);
                Dataset::assemble(splits, class_names, preparation.augment, preparation.seed)?
            }
        };
        dataset.notes.splice(..0, notes);
        Ok(dataset)
    }
}
