//! Decodes every image once, before anything is trained.

use rayon::prelude::*;

use super::DataError;
use super::decode::{Unreadable, read_image};
use super::error::shown;
use super::image_files::ImageFiles;
use super::left_out::Flawed;
use crate::progress::Progress;

/// Decodes the images of all `splits`. Answers with notes for the user, one line each.
///
/// # Errors
///
/// When of a split more than may be left out cannot be read, or no image can.
pub(super) fn check(splits: &[&ImageFiles]) -> Result<Vec<String>, DataError> {
    let (mut by_split, mut rotated, mut transparent) = (Vec::new(), 0, 0);
    for files in splits {
        let work = format!("decoding the images of `{}`", shown(&files.root));
        let sources = &files.sources;
        let progress = Progress::new(work, Some(sources.len()), files.reading.quiet);
        let decoded: Vec<_> = (0..sources.len())
            .into_par_iter()
            .map(|index| {
                let decoded =
                    read_image(sources.get(index)).map(|read| (read.is_rotated, read.is_transparent));
                progress.add();
                decoded
            })
            .collect();
        let mut flawed = Vec::new();
        for (index, decoded) in decoded.into_iter().enumerate() {
            match decoded {
                Ok((is_rotated, is_transparent)) => {
                    rotated += usize::from(is_rotated);
                    transparent += usize::from(is_transparent);
                }
                Err(Unreadable::Flawed(reason) | Unreadable::Refused(reason)) => {
                    flawed.push(Flawed { path: sources.get(index).path().into_owned(), reason });
                }
            }
        }
        if flawed.len() == sources.len() {
            let reason = format!("has no image that can be read: {}", files.left_out.names(&flawed));
            return Err(DataError::file(&files.root, reason));
        }
        by_split.push((files, flawed));
    }
    // What is told of the split with the most is enough for all.
    by_split.sort_by_key(|(_, flawed)| std::cmp::Reverse(flawed.len()));
    let mut notes = Vec::new();
    for (files, flawed) in by_split.into_iter().filter(|(_, flawed)| !flawed.is_empty()) {
        let (count, names) = (flawed.len(), files.left_out.names(&flawed));
        notes.push(format!("images that cannot be read and are left out: {count} ({names})"));
        files.left_out.count(flawed)?;
    }
    let ignored = [(rotated, "an orientation in EXIF"), (transparent, "transparency")];
    for (count, what) in ignored.into_iter().filter(|(count, _)| *count > 0) {
        notes.push(format!("images with {what}, which is ignored: {count}"));
    }
    Ok(notes)
}
