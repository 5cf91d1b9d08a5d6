//! Finds the images of a folder, and their classes.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use walkdir::{DirEntry, WalkDir};

use super::super::DataError;
use super::super::error::shown;
use super::super::source::{EXTENSIONS, has_extension, is_image};
use crate::progress::Progress;
use crate::terminal::counted;

/// Extensions of images that are not read.
const OTHER_EXTENSIONS: [&str; 9] = ["gif", "bmp", "tif", "tiff", "avif", "heic", "heif", "jp2", "jxl"];

/// Files that operating systems leave in folders, besides hidden ones.
const DROPPINGS: [&str; 3] = ["__MACOSX", "Thumbs.db", "desktop.ini"];

/// The images of one split.
#[derive(Debug)]
pub(super) struct Found {
    pub(super) root: PathBuf,
    /// Names of the classes, sorted.
    pub(super) classes: Vec<String>,
    pub(super) files: Vec<PathBuf>,
    /// The class of each file.
    pub(super) labels: Vec<u32>,
    skipped: Skipped,
}

/// Files and folders that are not images of a class.
#[derive(Debug, Default)]
struct Skipped {
    hidden: Vec<PathBuf>,
    no_images: Vec<PathBuf>,
    /// Images of formats that are not read.
    other_images: Vec<PathBuf>,
    outside: Vec<PathBuf>,
    dangling: Vec<PathBuf>,
    loops: Vec<PathBuf>,
    /// Class folders whose names are not UTF-8.
    nameless: Vec<PathBuf>,
}

/// Finds the images below `root`; its folders are the classes, each of which has images. Tells how many it found, unless `quiet`.
pub(super) fn scan(root: &Path, quiet: bool) -> Result<Found, DataError> {
    find(root, quiet)?.complete()
}

/// [`scan`], where there need not be classes.
pub(super) fn find(root: &Path, quiet: bool) -> Result<Found, DataError> {
    let unreadable = |path: &Path, error: &dyn std::fmt::Display| {
        DataError::file(path, format!("cannot be read: {error}"))
    };
    let real_root = root.canonicalize().map_err(|error| unreadable(root, &error))?;
    let mut found = Found {
        root: root.to_owned(),
        classes: Vec::new(),
        files: Vec::new(),
        labels: Vec::new(),
        skipped: Skipped::default(),
    };
    let progress = Progress::new(format!("looking for images in `{}`", shown(root)), None, quiet);
    let mut entries = WalkDir::new(root).min_depth(1).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        progress.add();
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                let path = error.path().unwrap_or(root).to_owned();
                let missing = error.io_error().is_some_and(|error| error.kind() == ErrorKind::NotFound);
                match error.loop_ancestor() {
                    Some(_) => found.skipped.loops.push(path),
                    None if missing && is_hidden(&path) => found.skipped.hidden.push(path),
                    // Whoever reads it will say what is wrong with it.
                    None if missing && error.depth() > 1 && is_image(&path) => found.push(path),
                    None if missing => found.skipped.dangling.push(path),
                    None => return Err(unreadable(&path, &error)),
                }
                continue;
            }
        };
        let is_folder = entry.file_type().is_dir();
        if is_hidden(entry.path()) {
            found.skipped.hidden.push(entry.path().to_owned());
        } else if is_folder && leads_up(&entry, &real_root) {
            found.skipped.loops.push(entry.path().to_owned());
        } else {
            found.add(entry);
            continue;
        }
        if is_folder {
            entries.skip_current_dir();
        }
    }
    Ok(found)
}

/// Whether `entry` is a link to a folder above `root`. `WalkDir` itself notices loops below `root`.
fn leads_up(entry: &DirEntry, root: &Path) -> bool {
    entry.path_is_symlink() && entry.path().canonicalize().is_ok_and(|target| root.starts_with(target))
}

fn is_hidden(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.as_encoded_bytes().starts_with(b".") || DROPPINGS.iter().any(|dropping| name == *dropping)
}

impl Found {
    fn add(&mut self, entry: DirEntry) {
        let kind = entry.file_type();
        match entry.depth() {
            1 if kind.is_dir() => {
                let name = entry.file_name().to_string_lossy().into_owned();
                if entry.file_name().to_str().is_none() {
                    self.skipped.nameless.push(entry.into_path());
                }
                self.classes.push(name);
            }
            _ if kind.is_dir() => {}
            _ if kind.is_file() && has_extension(entry.path(), &OTHER_EXTENSIONS) => {
                self.skipped.other_images.push(entry.into_path());
            }
            _ if !kind.is_file() || !is_image(entry.path()) => self.skipped.no_images.push(entry.into_path()),
            1 => self.skipped.outside.push(entry.into_path()),
            _ => self.push(entry.into_path()),
        }
    }

    /// Adds a file of the current class.
    fn push(&mut self, path: PathBuf) {
        self.files.push(path);
        self.labels.push(self.classes.len() as u32 - 1);
    }

    /// The images that lie in no class, with the labels among `classes` that `label` gives them.
    pub(super) fn flat(
        self,
        classes: &[String],
        label: impl Fn(&Path) -> Result<u32, DataError>,
    ) -> Result<Self, DataError> {
        let mut skipped = self.skipped;
        let mut files = std::mem::take(&mut skipped.outside);
        // As in folders of classes, whoever reads one will say what is wrong with it.
        let (gone, other) = skipped.dangling.into_iter().partition::<Vec<_>, _>(|path| is_image(path));
        skipped.dangling = other;
        files.extend(gone);
        files.sort();
        if files.is_empty() {
            return Err(DataError::file(&self.root, "has no images"));
        }
        let labels = files.iter().map(|path| label(path)).collect::<Result<_, _>>()?;
        Ok(Self { classes: classes.to_vec(), files, labels, skipped, ..self })
    }

    /// Checks that there are classes, and that each has images.
    pub(super) fn complete(self) -> Result<Self, DataError> {
        if let Some(nameless) = self.skipped.nameless.first() {
            let reason = "is a class whose name is not UTF-8: rename the folder";
            return Err(DataError::file(nameless, reason));
        }
        let looked_for =
            format!("looked for files that end with {}", EXTENSIONS.map(|e| format!(".{e}")).join(", "));
        if self.classes.is_empty() {
            let reason = match self.skipped.outside.is_empty() {
                true => "has no folders of classes",
                false => "has images, but no folders of classes around them",
            };
            return Err(
                DataError::file(&self.root, reason).with_help("images lie in a folder for each class; of `val` and `test`, `labels` may name a file with the class of each image instead")
            );
        }
        if self.files.is_empty() {
            return Err(DataError::file(&self.root, "has no images").with_help(looked_for));
        }
        let mut counts = vec![0_usize; self.classes.len()];
        for &label in &self.labels {
            counts[label as usize] += 1;
        }
        match counts.iter().position(|&count| count == 0) {
            Some(class) => {
                let folder = self.root.join(&self.classes[class]);
                Err(DataError::file(&folder, "is a class without images").with_help(looked_for))
            }
            None => Ok(self),
        }
    }

    /// A note on what was left out, with the names of at most `named` of each kind.
    pub(super) fn note(&self, named: usize) -> Option<String> {
        let Skipped { hidden, no_images, other_images, outside, dangling, loops, nameless: _ } =
            &self.skipped;
        let kinds = [
            (hidden, "hidden file or folder", "hidden files or folders"),
            (no_images, "file that is no image", "files that are no images"),
            (other_images, "image that is no JPEG, PNG or WebP", "images that are no JPEG, PNG or WebP"),
            (outside, "image in no class", "images in no class"),
            (dangling, "link to nothing", "links to nothing"),
            (loops, "link in a circle", "links in a circle"),
        ];
        let told: Vec<String> = kinds
            .into_iter()
            .filter(|(paths, ..)| !paths.is_empty())
            .map(|(paths, one, many)| {
                format!("{} ({})", counted(paths.len(), one, many), self.examples(paths, named))
            })
            .collect();
        (!told.is_empty()).then(|| format!("`{}`: left out {}", shown(&self.root), told.join(", ")))
    }

    fn examples(&self, paths: &[PathBuf], named: usize) -> String {
        let name = |path: &PathBuf| shown(path.strip_prefix(&self.root).unwrap_or(path));
        let names: Vec<String> = paths.iter().take(named).map(name).collect();
        match paths.len() - names.len() {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}
