//! A folder of images with one folder per class, the layout of ImageNet.

mod classes;
mod labels;
mod scan;

use std::path::PathBuf;

use super::classes::Classes;
use super::file_dataset::{FileSettings, HeldOutFrom, note_of_ignored};
use super::files::check_folder;
use super::images::Images;
use super::source::Sources;
use super::{DataError, Dataset, Normalisation, Preparation, Reading, SplitKind};
use classes::{check_count, check_named, in_order, same_classes};
use labels::labelled;
use scan::{Found, find, scan};

/// How a folder of images is read.
#[derive(Clone, Debug)]
pub struct ImageFolder {
    /// The folder with `train/<class>/`, and with `val/<class>/` or `test/<class>/`.
    pub path: PathBuf,
    /// The classes in the order of their labels; `None` and a number sort the folders of `train` by name, of which there must be so many.
    pub classes: Option<Classes>,
    /// A file with the class of each image of `val` or `test`, if that has no folders of classes.
    pub labels: Option<PathBuf>,
    /// Height and width of the model's input in pixels.
    pub image_size: usize,
    /// Length in pixels that the shorter side is resized to before the centre crop.
    pub resize: usize,
    /// Most unreadable images of `train`, of `val` and of `test` to leave out; one more is an error as soon as it is met.
    pub skip_at_most: usize,
    /// Which images are held out.
    pub held_out: HeldOutFrom,
    /// Most files of a kind that are named in an error or a note.
    pub named: usize,
    /// How its files are read.
    pub reading: Reading,
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
    let ImageFolder { path, labels, named, reading, .. } = folder;
    let settings = folder.settings();
    settings.check()?;
    check_folder(path)?;
    // Before all images are decoded.
    preparation.augment.check(settings.shape())?;
    let classes = &folder.names()?;
    if !path.join("train").is_dir() {
        return Err(not_laid_out(folder, "has no folder `train`"));
    }
    let (val, name_of_test) = layout(folder)?;

    let train = scan(&path.join("train"), reading.quiet)?;
    let train = match classes {
        Some(classes) => {
            check_named(classes, &train)?;
            in_order(classes, train)?
        }
        None => train,
    };
    if let Some(Classes::Count(count)) = folder.classes {
        check_count(count, &train)?;
    }
    let other = |name: &str| {
        let found = found(folder, name)?;
        match (labels, classes) {
            (Some(labels), _) => labelled(found, labels, &train.classes),
            (None, Some(classes)) => in_order(classes, found),
            (None, None) => same_classes(&train, found),
        }
    };
    let test = other(name_of_test).map_err(|error| match val {
        Some(_) => error.with_help("with `held_out: 0.1`, `val` is the test split and `test` is ignored"),
        None => error,
    })?;
    let val = val.map(other).transpose()?;
    let mut notes: Vec<String> = [Some(&train), Some(&test), val.as_ref()]
        .into_iter()
        .flatten()
        .filter_map(|found| found.note(*named))
        .collect();
    if name_of_test == "val" && path.join("test").is_dir() {
        notes.push(note_of_ignored("test", name_of_test));
    }

    let class_names = train.classes.clone();
    let images = |found| images(found, &settings);
    let splits = [images(train), images(test)];
    settings.dataset(splits, val.map(images), class_names, notes, preparation)
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
    let settings = folder.settings();
    settings.check()?;
    check_folder(&folder.path)?;
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
    let found = match (labels, &folder.names()?) {
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
    let data = Dataset::of_split(images(found, &settings), class_names, normalisation.clone());
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

impl ImageFolder {
    fn settings(&self) -> FileSettings<'_> {
        let Self { image_size, resize, skip_at_most, named, ref reading, .. } = *self;
        FileSettings { image_size, resize, skip_at_most, named, reading }
    }

    /// The names of the classes in their order, if that is given.
    fn names(&self) -> Result<Option<Vec<String>>, DataError> {
        let classes = self.classes.as_ref().filter(|classes| !matches!(classes, Classes::Count(_)));
        classes.map(Classes::names).transpose()
    }
}

/// The folders of the validation and of the test split; there is none of a validation split that is drawn from `train`.
fn layout(folder: &ImageFolder) -> Result<(Option<&'static str>, &'static str), DataError> {
    let has = |name: &str| folder.path.join(name).is_dir();
    folder.held_out.splits(has("val"), has("test")).ok_or_else(|| {
        let reason = match has("train") {
            true => "has a folder `train`, but neither `val` nor `test`",
            false => "has neither a folder `val` nor `test`",
        };
        not_laid_out(folder, reason)
    })
}

fn images(found: Found, settings: &FileSettings) -> Images {
    settings.images(found.root, Sources::Files(found.files), found.labels)
}

fn not_laid_out(folder: &ImageFolder, reason: &str) -> DataError {
    let name = folder.path.file_name().and_then(|name| name.to_str());
    let help = match name {
        Some("train" | "val" | "test") => "give the folder above it, which holds `train` and `val`",
        _ => "images lie in `train/<class>/` and in `val/<class>/` or `test/<class>/`",
    };
    DataError::file(&folder.path, reason).with_help(help)
}
