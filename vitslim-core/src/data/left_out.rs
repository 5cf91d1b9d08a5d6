//! Images that are left out, since they cannot be read.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use super::DataError;
use super::error::shown;
use crate::terminal::{counted, say};

/// An image that is not whole, or none.
#[derive(Clone, Debug)]
pub(super) struct Flawed {
    pub(super) path: PathBuf,
    /// What is wrong with it, a sentence without its subject.
    pub(super) reason: String,
}

impl Flawed {
    /// The error that there is nothing beside it: `nothing` says where.
    pub(super) fn alone(self, nothing: &str) -> DataError {
        DataError::file(&self.path, format!("{}, and {nothing}", self.reason))
            .with_help("`vitslim check --images` says which images are damaged")
    }
}

/// The images of a folder of a split that are left out, as far as they were met.
#[derive(Debug)]
pub(super) struct LeftOut {
    /// Most images that may be.
    at_most: usize,
    /// Most images that are named.
    named: usize,
    met: Mutex<Met>,
}

#[derive(Debug, Default)]
struct Met {
    /// In the order in which they were met.
    images: Vec<Flawed>,
    paths: HashSet<PathBuf>,
}

impl LeftOut {
    pub(super) fn new(at_most: usize, named: usize) -> Self {
        Self { at_most, named, met: Mutex::default() }
    }

    /// Leaves out `images`, and names those on the terminal that were not met before.
    ///
    /// # Errors
    ///
    /// When there are too many, those from before included.
    pub(super) fn add(&self, images: impl IntoIterator<Item = Flawed>) -> Result<(), DataError> {
        for Flawed { path, reason } in self.count(images)? {
            say(format_args!("data: `{}` {reason}; it is left out", shown(&path)));
        }
        Ok(())
    }

    /// Leaves out `images`. Answers with those that were not met before.
    ///
    /// # Errors
    ///
    /// Those of [`LeftOut::add`].
    pub(super) fn count(&self, images: impl IntoIterator<Item = Flawed>) -> Result<Vec<Flawed>, DataError> {
        let mut met = self.met.lock().unwrap_or_else(PoisonError::into_inner);
        let before = met.images.len();
        for image in images {
            if met.paths.insert(image.path.clone()) {
                met.images.push(image);
            }
        }
        let Met { images, .. } = &*met;
        match images.len() > self.at_most {
            true => Err(self.too_many(images)),
            false => Ok(images[before..].to_vec()),
        }
    }

    fn too_many(&self, images: &[Flawed]) -> DataError {
        let (at_most, count) = (self.at_most, images.len());
        let also = match count {
            1 => String::new(),
            _ => format!(
                "; {} cannot be read either: {}",
                counted(count - 1, "more image", "more images"),
                self.names(&images[1..])
            ),
        };
        let first = &images[0];
        DataError::file(&first.path, format!("{}{also}", first.reason)).with_help(format!(
            "leave out what is damaged with `skip_at_most: {count}` (it is {at_most}), and a run goes on; or replace or remove it, \
             and a run starts again. `vitslim check --images` decodes all images, and says which are damaged"
        ))
    }

    /// The names of `images` and what is wrong with them.
    pub(super) fn names(&self, images: &[Flawed]) -> String {
        let name = |Flawed { path, reason }: &Flawed| format!("`{}` {reason}", shown(path));
        let mut names: Vec<String> = images.iter().take(self.named).map(name).collect();
        match images.len() - names.len() {
            0 => {}
            more => names.push(format!("and {more} more, which `vitslim check --images --all` names")),
        }
        names.join(", ")
    }
}
