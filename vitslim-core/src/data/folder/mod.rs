//! A folder of images, one folder a class, as ImageNet is laid out.

mod check;
mod scan;

use std::path::PathBuf;

use super::crop::Crop;
use super::files::check_folder;
use super::images::{Images, Pixels};
use super::split::Chosen;
use super::{DataError, Dataset, ImageShape, Preparation};
use check::Report;
use scan::{Found, scan};

/// Height and width that images are resized to at most; larger numbers are slips of the keyboard.
const MOST_PIXELS: usize = 1 << 14;

/// How a folder of images is read.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    /// The folder that holds `train/<class>/`, and `val/<class>/` or `test/<class>/`.
    pub path: PathBuf,
    /// Height and width in pixels of what a model sees.
    pub image_size: usize,
    /// Pixels to which the shorter side is resized before the middle is cut out.
    pub resize: usize,
    /// How many images may be unreadable, and are left out. One more is an error.
    pub skip_at_most: usize,
    /// What is held out.
    pub held_out: FolderHeldOut,
}

/// What is held out of a folder of images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderHeldOut {
    /// `val/`, if there is `test/` too, otherwise a share of `train/`.
    ValOrShare,
    /// A share of `train/`.
    Share,
}

/// Reads JPEG, PNG and WebP images of `train/<class>/`, and of `val/` or else `test/` beside it to test, at any depth
/// below a class. Classes are sorted by name.
///
/// Every image is decoded once to check it, and again each time that it is in a batch. Its shorter side is resized
/// (bicubic), the middle cut out. Pixels are as Pillow's `convert("RGB")` gives them: orientation in EXIF is ignored,
/// transparency dropped, palettes, gray and 1 to 4 bits expanded; of 16 bits the upper 8 are used.
///
/// Hidden files and folders, `__MACOSX`, `Thumbs.db`, `desktop.ini` and files that are no images are left out, and
/// counted in the notes of the dataset. Links are followed; one that leads back to a folder above it is left out.
///
/// The normalisation is computed from at most 2000 images of the training part.
///
/// # Errors
///
/// When a folder is missing or has no images, when the parts have different classes, or when more images cannot be read
/// than may be left out.
pub fn image_folder(folder: &ImageFolder, preparation: &Preparation) -> Result<Dataset, DataError> {
    let ImageFolder { path, image_size, resize, skip_at_most, held_out } = folder;
    let settings: [(&'static [&'static str], _); 2] = [(&["image_size"], image_size), (&["resize"], resize)];
    if let Some((setting, pixels)) = settings.into_iter().find(|(_, pixels)| **pixels > MOST_PIXELS) {
        let reason =
            format!("is {pixels}, but images are read in at most {MOST_PIXELS} x {MOST_PIXELS} pixels");
        return Err(DataError::setting(setting, reason));
    }
    if resize < image_size {
        let reason = format!("is {resize}, but {image_size} pixels are cut out of what is resized");
        return Err(DataError::setting(&["resize"], reason));
    }
    check_folder(path)?;
    let has = |name: &str| path.join(name).is_dir();
    if !has("train") {
        return Err(not_laid_out(folder, "has no folder `train`"));
    }
    let val_is_held_out = *held_out == FolderHeldOut::ValOrShare && has("val") && has("test");
    let test = match (val_is_held_out, has("val"), has("test")) {
        (false, true, _) => "val",
        (_, _, true) => "test",
        _ => return Err(not_laid_out(folder, "has a folder `train`, but neither `val` nor `test`")),
    };

    let train = scan(&path.join("train"))?;
    let test = scan(&path.join(test)).and_then(|test| same_classes(&train, test)).map_err(|error| {
        match val_is_held_out {
            true => error.with_help("with `held_out: 0.1`, `val` is to test and `test` is left alone"),
            false => error,
        }
    })?;
    let val = match val_is_held_out {
        true => Some(scan(&path.join("val")).and_then(|val| same_classes(&train, val))?),
        false => None,
    };
    let mut notes: Vec<String> =
        [Some(&train), Some(&test), val.as_ref()].into_iter().flatten().filter_map(Found::note).collect();

    let mut report = Report::default();
    let train = report.check(train)?;
    let test = report.check(test)?;
    let val = val.map(|val| report.check(val)).transpose()?;
    notes.extend(report.within(*skip_at_most)?);

    let crop = Crop { resize: *resize, size: *image_size };
    let class_names = train.classes.clone();
    let (train, test) = (images(train, crop), images(test, crop));
    let mut dataset = match val {
        None => Dataset::hold_out(train, test, class_names, preparation)?,
        Some(val) => {
            let parts = [train, images(val, crop), test].map(Chosen::all);
            Dataset::assemble(parts, class_names, preparation.augment, preparation.seed)?
        }
    };
    dataset.notes.splice(..0, notes);
    Ok(dataset)
}

fn images(found: Found, crop: Crop) -> Images {
    let shape = ImageShape { channels: 3, size: crop.size };
    Images { shape, white: 255, labels: found.labels, pixels: Pixels::Files(found.files, crop) }
}

fn not_laid_out(folder: &ImageFolder, reason: &str) -> DataError {
    let name = folder.path.file_name().and_then(|name| name.to_str());
    let help = match name {
        Some("train" | "val" | "test") => "give the folder above it, which holds `train` and `val`",
        _ => "images lie in `train/<class>/` and in `val/<class>/` or `test/<class>/`",
    };
    DataError::file(&folder.path, reason).with_help(help)
}

/// `other`, if it has the classes of `train`.
fn same_classes(train: &Found, other: Found) -> Result<Found, DataError> {
    let lacking =
        |one: &Found, other: &Found| other.classes.iter().find(|class| !one.classes.contains(class)).cloned();
    let (part, class, there) = match (lacking(&other, train), lacking(train, &other)) {
        (Some(class), _) => (&other, class, train),
        (None, Some(class)) => (train, class, &other),
        (None, None) => return Ok(other),
    };
    let there = there.root.display();
    let reason = format!("has no class `{class}`, but `{there}` has: all parts need the same classes");
    Err(DataError::file(&part.root, reason))
}
