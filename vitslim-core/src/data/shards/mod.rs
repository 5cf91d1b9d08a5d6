//! The shards of a WebDataset: `.tar` files that hold images and their labels.

mod index;
mod pattern;
mod scan;

use std::path::{Path, PathBuf};

use super::classes::{Classes, MOST_CLASSES};
use super::error::shown;
use super::file_dataset::{FileSettings, HeldOutFrom, note_of_ignored};
use super::files::check_folder;
use super::images::Images;
use super::shuffle::is_badly_mixed;
use super::source::{Member, Source, Sources};
use super::{DataError, Dataset, Normalisation, Preparation, Reading, SplitKind};
use crate::terminal::counted;
use index::contents;
use scan::PACKING;

/// How the shards of a WebDataset are read.
#[derive(Clone, Debug)]
pub struct Shards {
    /// The folder that they are in.
    pub path: PathBuf,
    /// Which are those of the training split: a pattern with ranges and lists in braces, and `*`. `None` is `train-*.tar`.
    pub train: Option<String>,
    /// The same of `val`; `None` is `val-*.tar`, if there are any.
    pub val: Option<String>,
    /// The same of `test`; `None` is `test-*.tar`, if there are any.
    pub test: Option<String>,
    /// The classes in the order of their labels; `None` counts them by the labels of the training split.
    pub classes: Option<Classes>,
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
    /// How the shards are read.
    pub reading: Reading,
}

/// Reads images from the shards of a WebDataset. A sample is an image, `KEY.jpg` (or another name of JPEG, PNG or WebP), beside its label, a
/// number from 0 on, in `KEY.cls`, or else in `label` or `cls` of `KEY.json`. Images lie in the order of the shards and of their files.
///
/// They are decoded, resized and cropped as those of an [`image_folder`](super::image_folder): only where their bytes lie is another. No
/// shard is unpacked. All are read once, to know what the dataset contains and where; that is kept, so that the next time only shards are
/// read that are new, or whose size, time of modification or inode changed.
///
/// # Errors
///
/// When shards are missing, are no whole tar files, have samples without image or label, or a label that is of no class, and those of
/// [`image_folder`](super::image_folder) about images.
pub fn shards(shards: &Shards, preparation: &Preparation) -> Result<Dataset, DataError> {
    let settings = shards.settings();
    settings.check()?;
    check_folder(&shards.path)?;
    preparation.augment.check(settings.shape())?;
    let named = shards.classes.as_ref().map(Classes::names).transpose()?;
    let train = shards.files("train")?.ok_or_else(|| shards.lacks(&["train"]))?;
    let (val, test, ignored) = shards.other_splits()?;
    check_apart(&[Some(&train), val.as_ref(), Some(&test)])?;

    let train = train.read(shards)?;
    let classes = match named {
        Some(classes) => classes,
        None => train.classes()?,
    };
    let other = |files: Files| files.read(shards)?.of_classes(classes.len());
    let train = train.of_classes(classes.len())?;
    let (test, val) = (other(test)?, val.map(other).transpose()?);
    let notes = [Some(&train), Some(&test), val.as_ref()];
    let notes = notes.into_iter().flatten().filter_map(|split| split.note(shards.named));
    let notes = notes.chain(train.note_of_order()).chain(ignored).collect();
    let images = |split: Found| split.images(&settings);
    settings.dataset([images(train), images(test)], val.map(images), classes, notes, preparation)
}

/// Reads one split of shards to evaluate on, normalised as those that a network was trained on: all splits of the dataset are this one.
/// Training shards are not read, and need not be there. `None` if the split is drawn from them, the normalisation is not one of colour
/// images, or neither the classes are given nor those that the network knows.
///
/// # Errors
///
/// Those of [`shards()`] that concern the split.
pub fn shards_split(
    shards: &Shards,
    split: SplitKind,
    normalisation: &Normalisation,
    known: &[String],
) -> Result<Option<Dataset>, DataError> {
    let settings = shards.settings();
    settings.check()?;
    check_folder(&shards.path)?;
    let named = shards.classes.as_ref().map(Classes::names).transpose()?;
    let classes = named.unwrap_or_else(|| known.to_vec());
    let (val, test, _) = shards.other_splits()?;
    let files = match split {
        SplitKind::Train => None,
        SplitKind::HeldOut => val,
        SplitKind::Test => Some(test),
    };
    let is_coloured = [&normalisation.mean, &normalisation.std].iter().all(|channels| channels.len() == 3);
    let Some(files) = files.filter(|_| is_coloured && !classes.is_empty()) else { return Ok(None) };
    let found = files.read(shards)?.of_classes(classes.len())?;
    let notes = found.note(shards.named).into_iter().collect();
    let data = Dataset::of_split(found.images(&settings), classes, normalisation.clone());
    Ok(Some(Dataset { notes, ..data }))
}

impl Shards {
    fn settings(&self) -> FileSettings<'_> {
        let Self { image_size, resize, skip_at_most, named, ref reading, .. } = *self;
        FileSettings { image_size, resize, skip_at_most, named, reading }
    }

    /// The shards of the split `name`; `None` if there are none, and it is not written how they are called.
    fn files(&self, name: &str) -> Result<Option<Files>, DataError> {
        let (setting, written): (&'static [&'static str], _) = match name {
            "train" => (&["train"], &self.train),
            "val" => (&["val"], &self.val),
            _ => (&["test"], &self.test),
        };
        let pattern = written.clone().unwrap_or_else(|| format!("{name}-*.tar"));
        let found = pattern::files(&self.path, &pattern, setting)?;
        match found {
            None if written.is_some() => {
                let reason = format!("is `{pattern}`, but no file of `{}` is called so", shown(&self.path));
                Err(DataError::setting(setting, reason))
            }
            found => Ok(found.map(|shards| Files { root: self.path.join(pattern), shards })),
        }
    }

    /// The shards of the validation split, if it is not drawn from the training split, and those of the test split: `test`, where that is
    /// written; and a note where there are both and one is ignored.
    fn other_splits(&self) -> Result<(Option<Files>, Files, Option<String>), DataError> {
        if let (HeldOutFrom::Share, Some(_), Some(_)) = (self.held_out, &self.val, &self.test) {
            let reason =
                "is written, and so are `test` and `held_out`, which draws the validation split from `train`";
            return Err(DataError::setting(&["val"], reason)
                .with_help("leave out `held_out`, and `val` is the validation split; or leave out `val`"));
        }
        match (self.files("val")?, self.files("test")?) {
            (Some(val), Some(test)) if self.held_out == HeldOutFrom::ValOrShare => {
                Ok((Some(val), test, None))
            }
            (Some(_), Some(test)) if self.test.is_some() => {
                Ok((None, test, Some(note_of_ignored("val", "test"))))
            }
            (Some(val), Some(_)) => Ok((None, val, Some(note_of_ignored("test", "val")))),
            (Some(test), None) | (None, Some(test)) => Ok((None, test, None)),
            (None, None) => Err(self.lacks(&["val", "test"])),
        }
    }

    /// The error that there are no shards of the splits `names`.
    fn lacks(&self, names: &[&str]) -> DataError {
        let patterns: Vec<String> = names.iter().map(|name| format!("`{name}-*.tar`")).collect();
        let name = names[0];
        DataError::file(&self.path, format!("has no file {}", patterns.join(" or "))).with_help(format!(
            "`{name}: \"imagenet-{name}-{{0000..0063}}.tar\"` says how the shards are called"
        ))
    }
}

/// Checks that no shard is in two of `splits`.
fn check_apart(splits: &[Option<&Files>]) -> Result<(), DataError> {
    let mut met = std::collections::HashSet::new();
    let mut shards = splits.iter().flatten().flat_map(|files| &files.shards);
    match shards.find(|shard| !met.insert(*shard)) {
        Some(shard) => {
            Err(DataError::file(shard, "is named twice: no image may be in two splits, nor twice in one"))
        }
        None => Ok(()),
    }
}

/// The shards of a split.
struct Files {
    /// What they are called together.
    root: PathBuf,
    shards: Vec<PathBuf>,
}

impl Files {
    /// Reads what they contain, unless the index knows it.
    fn read(self, Shards { reading, .. }: &Shards) -> Result<Found, DataError> {
        let mut found =
            Found { files: self, members: Vec::new(), labels: Vec::new(), others: (0, Vec::new()) };
        for (shard, content) in contents(&found.files.shards, reading)?.into_iter().enumerate() {
            for sample in content.samples {
                let scan::Sample { name, start, length, label, digest } = sample;
                found.members.push(Member { shard, name: name.into(), start, length, digest });
                found.labels.push(label);
            }
            found.others.0 += content.others.0;
            found.others.1.extend(content.others.1);
        }
        Ok(found)
    }
}

/// The images of a split.
struct Found {
    files: Files,
    members: Vec<Member>,
    labels: Vec<u32>,
    /// Files that belong to no sample: how many, and some of them.
    others: (usize, Vec<String>),
}

impl Found {
    /// The classes that the labels count.
    fn classes(&self) -> Result<Vec<String>, DataError> {
        let last = self.labels.iter().copied().max().unwrap_or(0);
        match self.labels.iter().position(|&label| label as usize >= MOST_CLASSES) {
            Some(image) => {
                let reason = format!(
                    "has the label {}, but there are at most {MOST_CLASSES} classes",
                    self.labels[image]
                );
                Err(DataError::file(&self.path(image), reason))
            }
            None => Ok((0..=last).map(|label| label.to_string()).collect()),
        }
    }

    /// These images, if their labels are below `classes`.
    fn of_classes(self, classes: usize) -> Result<Self, DataError> {
        match self.labels.iter().position(|&label| label as usize >= classes) {
            Some(image) => {
                let (label, last) = (self.labels[image], classes - 1);
                let classes = counted(classes, "class goes", "classes go");
                let reason = format!("has the label {label}, but {classes} from 0 to {last}");
                let help =
                    "`classes: ...` says how many classes there are; left out, the labels of `train` do";
                Err(DataError::file(&self.path(image), reason).with_help(help))
            }
            None => Ok(self),
        }
    }

    fn path(&self, image: usize) -> PathBuf {
        let member = &self.members[image];
        Source::Member(&self.files.shards[member.shard], member).path().into_owned()
    }

    /// A note on what belongs to no sample, with at most `named` names.
    fn note(&self, named: usize) -> Option<String> {
        let (count, names) = &self.others;
        let some: Vec<String> = names.iter().take(named).map(|name| shown(Path::new(name))).collect();
        let files = counted(*count, "file that is of no sample", "files that are of no sample");
        let more = if *count > some.len() { ", ..." } else { "" };
        let root = shown(&self.files.root);
        (*count > 0).then(|| format!("`{root}`: left out {files} ({}{more})", some.join(", ")))
    }

    /// A note that batches will have few classes, if they will.
    fn note_of_order(&self) -> Option<String> {
        let root = shown(&self.files.root);
        is_badly_mixed(&self.labels).then(|| {
            format!(
                "`{root}`: samples lie sorted by their class, so that a training batch sees few classes; {PACKING} packs them in random order"
            )
        })
    }

    fn images(self, settings: &FileSettings) -> Images {
        let Self { files: Files { root, shards }, members, labels, .. } = self;
        settings.images(root, Sources::Members { shards, members }, labels)
    }
}
