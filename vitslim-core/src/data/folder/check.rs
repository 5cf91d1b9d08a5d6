//! Decodes every image once, before anything is trained.

use std::path::PathBuf;

use rayon::prelude::*;

use super::super::DataError;
use super::super::decode::read_image;
use super::super::images::{PixelDigest, digest};
use super::scan::Found;

/// Unreadable images that are named.
const NAMED: usize = 5;

/// What was found about the images of all splits.
#[derive(Debug, Default)]
pub(super) struct Report {
    /// Images that cannot be read, and why.
    unreadable: Vec<(PathBuf, String)>,
    rotated: usize,
    transparent: usize,
}

impl Report {
    /// Decodes the images of `found`, and leaves out those that cannot be read. The others come with their digests.
    pub(super) fn check(&mut self, mut found: Found) -> Result<(Found, Vec<PixelDigest>), DataError> {
        let mut digests = Vec::new();
        let decoded: Vec<_> = found
            .files
            .par_iter()
            .map(|path| {
                read_image(path).map(|read| (read.is_rotated, read.is_transparent, digest(&read.image)))
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
            let reason = format!("has no image that can be read: {}", self.named());
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
        if let (Some((path, reason)), true) = (self.unreadable.first(), count > skip_at_most) {
            let also = match count {
                1 => String::new(),
                _ => format!("; {count} images cannot be read: {}", self.named()),
            };
            let help = format!(
                "replace or remove what is damaged, or leave it out with `skip_at_most: {count}` (it is {skip_at_most})"
            );
            return Err(DataError::file(path, format!("{reason}{also}")).with_help(help));
        }
        let mut notes = Vec::new();
        if count > 0 {
            notes.push(format!("images that cannot be read and are left out: {count} ({})", self.named()));
        }
        let ignored = [(self.rotated, "an orientation in EXIF"), (self.transparent, "transparency")];
        for (count, what) in ignored.into_iter().filter(|(count, _)| *count > 0) {
            notes.push(format!("images with {what}, which is ignored: {count}"));
        }
        Ok(notes)
    }

    fn named(&self) -> String {
        let name = |(path, reason): &(PathBuf, String)| format!("`{}` {reason}", path.display());
        let mut named: Vec<String> = self.unreadable.iter().take(NAMED).map(name).collect();
        if self.unreadable.len() > NAMED {
            named.push(format!("and {} more", self.unreadable.len() - NAMED));
        }
        named.join(", ")
    }
}
