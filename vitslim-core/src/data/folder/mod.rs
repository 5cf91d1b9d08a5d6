//! A folder of images with one folder per class, the layout of ImageNet.

mod check;
mod classes;
mod labels;
mod scan;

use std::path::PathBuf;
use std::sync::OnceLock;

use super::crop::Crop;
use super::files::check_folder;
use super::image_files::ImageFiles;
use super::images::{Images, Pixels};
use super::left_out::LeftOut;
use super::split::Chosen;
use super::{DataError, Dataset, ImageShape, Normalisation, Preparation, Reading, SplitKind};
use check::check;
use classes::{check_named, in_order, same_classes};
use labels::labelled;
use scan::{Found, find, scan};

/// Largest height and width to resize to; a larger number is taken for a typing error.
const MOST_PIXELS: usize = 1 << 14;

/// How a folder of images is read.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    /// The folder with `train/<class>/`, and with `val/<class>/` or `test/<class>/`.
    pub path: PathBuf,
    /// Names of the classes in the order of their labels; `None` sorts the folders of `train` by name.
    pub classes: Option<Vec<String>>,
    /// A file with the class of each image of `val` or `test`, if that has no folders of classes.
    pub labels: Option<PathBuf>,
    /// Height and width of the model's input in pixels.
    pub image_size: usize,
    /// Length in pixels that the shorter side is resized to before the centre crop.
    pub resize: usize,
    /// Most unreadable images of `train`, of `val` and of `test` to leave out; one more is an error as soon as it is met.
    pub skip_at_most: usize,
    /// Which images are held out.
    pub held_out: FolderHeldOut,
    /// Most files of a kind that are named in an error or a note.
    pub named: usize,
    /// How its files are read.
    pub reading: Reading,
}

/// Which images of a folder are held out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FolderHeldOut {
    /// `val/`, if there is `test/` too, otherwise a share of `train/`.
    ValOrShare,
    /// A share of `train/`.
    Share,
}

/// Reads JPEG, PNG and WebP images: for training from `train/<class>/`, and for the test from `val/<class>/` or else
/// `test/<class>/`, at any depth below the class. Classes are sorted by name, unless their order is given; only then may `val/` and
/// `test/` lack some. With a file of `labels`, these two have their images in no folders.
///
/// An image is decoded whenever it is in a batch; one that cannot be is left out. It is resized by its shorter side (bicubic)
/// and cropped to its centre. Pixels are those of Pillow's `convert("RGB")`: EXIF orientation is ignored, transparency is
/// dropped, palettes, gray and 1 to 4 bits are expanded, and of 16 bits the upper 8 are used.
///
/// Hidden files and folders, `__MACOSX`, `Thumbs.db`, `desktop.ini` and files that are not images are left out, and counted
/// in the notes of the dataset. Links are followed, except those that lead back to a folder above them.
///
/// The normalisation is computed from at most 2000 training images.
///
/// All files are read once, to know what the dataset contains. That and the normalisation are kept: the next time, only files
/// are read that are new, or whose size, time of modification or inode changed.
///
/// # Errors
///
/// When a folder is missing or has no images, when splits have different classes, when the system does not let us read a file, or when
/// of the images that are decoded more cannot be read than may be left out.
pub fn image_folder(folder: &ImageFolder, preparation: &Preparation) -> Result<Dataset, DataError> {
    let ImageFolder { path, classes, labels, named, reading, .. } = folder;
    check_settings(folder)?;
    // Before all images are decoded.
    preparation.augment.check(ImageShape { channels: 3, size: folder.image_size })?;
    if !path.join("train").is_dir() {
        return Err(not_laid_out(folder, "has no folder `train`"));
    }
    let (val, test) = layout(folder)?;

    let train = scan(&path.join("train"), reading.quiet)?;
    let train = match classes {
        Some(classes) => {
            check_named(classes, &train)?;
            in_order(classes, train)?
        }
        None => train,
    };
    let other = |name: &str| {
        let found = found(folder, name)?;
        match (labels, classes) {
            (Some(labels), _) => labelled(found, labels, &train.classes),
            (None, Some(classes)) => in_order(classes, found),
            (None, None) => same_classes(&train, found),
        }
    };
    let test = other(test).map_err(|error| match val {
        Some(_) => error.with_help("with `held_out: 0.1`, `val` is the test split and `test` is ignored"),
        None => error,
    })?;
    let val = val.map(other).transpose()?;
    let mut notes: Vec<String> = [Some(&train), Some(&test), val.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|found| found.note(*named))
        .collect();

    let class_names = train.classes.clone();
    let images = |found| images(found, folder);
    let (train, test, val) = (images(train), images(test), val.map(images));
    let splits = [Some(&train), Some(&test), val.as_ref()].into_iter().flatten();
    let splits: Vec<&ImageFiles> = splits.filter_map(Images::files).collect();
    splits.iter().try_for_each(|files| files.check_files())?;
    if folder.reading.anew {
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

/// Reads one split of a folder of images to evaluate on, normalised as those that a network was trained on: all splits of the
/// dataset are this one. Training images are not read, and need not be there. `None` if the split is drawn from them, or the
/// normalisation is not one of colour images. A split whose classes are among the `known` ones of the network has their labels, and may
/// lack some. A file of labels is for a split without folders of classes; of one that has some, it is not looked at.
///
/// # Errors
///
/// Those of [`image_folder`] that concern the split.
pub fn image_folder_split(
    folder: &ImageFolder,
    split: SplitKind,
    normalisation: &Normalisation,
    known: &[String],
) -> Result<Option<Dataset>, DataError> {
    check_settings(folder)?;
    let (val, test) = layout(folder)?;
    let name = match split {
        SplitKind::Train => None,
        SplitKind::HeldOut => val,
        SplitKind::Test => Some(test),
    };
    let Some(name) = name.filter(|_| [&normalisation.mean, &normalisation.std].iter().all(|c| c.len() == 3))
    else {
        return Ok(None);
    };
    let found = find(&folder.path.join(name), folder.reading.quiet)?;
    let labels = folder.labels.as_ref().filter(|_| found.classes.is_empty());
    let found = if labels.is_none() { found.complete()? } else { found };
    let found = match (labels, &folder.classes) {
        (Some(labels), Some(classes)) => labelled(found, labels, classes)?,
        // Only the folders of `train` know them.
        (Some(_), None) if known.is_empty() => return Ok(None),
        (Some(labels), None) => labelled(found, labels, known)?,
        (None, Some(classes)) => in_order(classes, found)?,
        (None, None) if found.classes.iter().all(|class| known.contains(class)) => in_order(known, found)?,
        (None, None) => found,
    };
    let notes: Vec<String> = found.note(folder.named).into_iter().collect();
    let class_names = found.classes.clone();
    let data = Dataset::of_split(images(found, folder), class_names, normalisation.clone());
    Ok(Some(Dataset { notes, ..data }))
}

/// The images of the split `name`: in folders of classes, or in none if there is a file of labels.
fn found(folder: &ImageFolder, name: &str) -> Result<Found, DataError> {
    let found = find(&folder.path.join(name), folder.reading.quiet)?;
    match (&folder.labels, found.classes.first()) {
        (None, _) => found.complete(),
        (Some(_), None) => Ok(found),
        (Some(_), Some(class)) => {
            let reason = format!(
                "is for images in no folders, but `{name}` has folders of classes, such as `{class}`"
            );
            Err(DataError::setting(&["labels"], reason)
                .with_help("leave it out: the folders say the classes"))
        }
    }
}

fn check_settings(folder: &ImageFolder) -> Result<(), DataError> {
    let ImageFolder { path, image_size, resize, .. } = folder;
    let settings: [(&'static [&'static str], _); 2] = [(&["image_size"], image_size), (&["resize"], resize)];
    if let Some((setting, pixels)) = settings.into_iter().find(|(_, pixels)| **pixels > MOST_PIXELS) {
        let reason =
            format!("is {pixels}, but images are read in at most {MOST_PIXELS} x {MOST_PIXELS} pixels");
        return Err(DataError::setting(setting, reason));
    }
    if resize < image_size {
        let reason = format!("is {resize}, less than the {image_size} pixels that are cropped from it");
        return Err(DataError::setting(&["resize"], reason));
    }
    check_folder(path)
}

/// The folders of the validation and of the test split; there is none of a validation split that is drawn from `train`.
fn layout(folder: &ImageFolder) -> Result<(Option<&'static str>, &'static str), DataError> {
    let has = |name: &str| folder.path.join(name).is_dir();
    match (has("val"), has("test")) {
        (true, true) if folder.held_out == FolderHeldOut::ValOrShare => Ok((Some("val"), "test")),
        (true, _) => Ok((None, "val")),
        (false, true) => Ok((None, "test")),
        (false, false) => {
            let reason = match has("train") {
                true => "has a folder `train`, but neither `val` nor `test`",
                false => "has neither a folder `val` nor `test`",
            };
            Err(not_laid_out(folder, reason))
        }
    }
}

fn images(found: Found, folder: &ImageFolder) -> Images {
    let crop = Crop { resize: folder.resize, size: folder.image_size };
    let files = ImageFiles {
        root: found.root,
        paths: found.files,
        crop,
        reading: folder.reading.clone(),
        left_out: LeftOut::new(folder.skip_at_most, folder.named),
        digests: OnceLock::new(),
    };
    let shape = ImageShape { channels: 3, size: crop.size };
    Images { shape, white: 255, labels: found.labels, pixels: Pixels::Files(Box::new(files)) }
}

fn not_laid_out(folder: &ImageFolder, reason: &str) -> DataError {
    let name = folder.path.file_name().and_then(|name| name.to_str());
    let help = match name {
        Some("train" | "val" | "test") => "give the folder above it, which holds `train` and `val`",
        _ => "images lie in `train/<class>/` and in `val/<class>/` or `test/<class>/`",
    };
    DataError::file(&folder.path, reason).with_help(help)
}
