//! Decodes every image once, before anything is trained.

use std::path::PathBuf;

use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::super::DataError;
use super::super::decode::{decode, read_file};
use super::super::error::shown;
use super::super::images::ImageDigest;
use super::scan::Found;
use crate::terminal::counted;

/// What was found about the images of all splits.
#[derive(Debug)]
pub(super) struct Report {
    /// Most images that are named.
    named: usize,
    /// Images that cannot be read, and why.
    unreadable: Vec<(PathBuf, String)>,
    rotated: usize,
    transparent: usize,
}

impl Report {
    /// A report that names at most `named` images.
    pub(super) fn new(named: usize) -> Self {
        Self { named, unreadable: Vec::new(), rotated: 0, transparent: 0 }
    }

    /// Decodes the images of `found`, and leaves out those that cannot be read. The others come with their digests.
    pub(super) fn check(&mut self, mut found: Found) -> Result<(Found, Vec<ImageDigest>), DataError> {
        let mut digests = Vec::new();
        let decoded: Vec<_> = found
            .files
            .par_iter()
            .map(|path| {
                let bytes = read_file(path)?;
                let digest: ImageDigest = Sha256::digest(&bytes).into();
                decode(bytes).map(|read| (read.is_rotated, read.is_transparent, digest))
            })
            .collect();
        let images = std::mem::take(&mut found.files).into_iter().zip(std::mem::take(&mut found.labels));
        for ((path, label), decoded) in images.zip(decoded) {
            match decoded {
                Ok((rotated, transparent, digest)) => {
                    self.rotated += usize::from(rotated);
                    self.transparent += usize::from(transparent);
                    found.files.push(path);
                    found.labels.push(label);
                    digests.push(digest);
                }
                Err(reason) => self.unreadable.push((path, reason)),
            }
        }
        if found.files.is_empty() {
            let reason = format!("has no image that can be read: {}", self.names(&self.unreadable));
            return Err(DataError::file(&found.root, reason));
        }
        Ok((found, digests))
    }

    /// Notes for the user, one line each.
    ///
    /// # Errors
    ///
    /// When more than `skip_at_most` images cannot be read.
    pub(super) fn within(self, skip_at_most: usize) -> Result<Vec<String>, DataError> {
        let count = self.unreadable.len();
        if let (Some(((path, reason), others)), true) = (self.unreadable.split_first(), count > skip_at_most)
        {
            let also = match others.len() {
                0 => String::new(),
                more => format!(
                    "; {} cannot be read either: {}",
                    counted(more, "more image", "more images"),
                    self.names(others)
                ),
            };
            let help = format!(
                "replace or remove what is damaged, or leave it out with `skip_at_most: {count}` (it is {skip_at_most})"
            );
            return Err(DataError::file(path, format!("{reason}{also}")).with_help(help));
        }
        let mut notes = Vec::new();
        if count > 0 {
            notes.push(format!(
                "images that cannot be read and are left out: {count} ({})",
                self.names(&self.unreadable)
            ));
        }
        let ignored = [(self.rotated, "an orientation in EXIF"), (self.transparent, "transparency")];
        for (count, what) in ignored.into_iter().filter(|(count, _)| *count > 0) {
            notes.push(format!("images with {what}, which is ignored: {count}"));
        }
        Ok(notes)
    }

    fn names(&self, unreadable: &[(PathBuf, String)]) -> String {
        let name = |(path, reason): &(PathBuf, String)| format!("`{}` {reason}", shown(path));
        let mut names: Vec<String> = unreadable.iter().take(self.named).map(name).collect();
        if unreadable.len() > names.len() {
            names.push(format!(
                "and {} more, which `vitslim check --all` names",
                unreadable.len() - names.len()
            ));
        }
        names.join(", ")
    }
}
