//! What each shard contains, as it was when it was last read: an unchanged one is not read again.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::super::DataError;
use super::super::cache::Cache;
use super::super::index::Stamp;
use super::super::reading::Reading;
use super::scan::{Content, scan};
use crate::progress::Progress;

/// How the index of a shard is written. Raise it with each change of [`Content`], or after which [`scan`] finds something else in the same
/// shard, or refuses what it did not.
const FORMAT: &str = "vitslim shard 2";

/// The index of a shard as it is written.
#[derive(Serialize, Deserialize)]
struct Index {
    format: String,
    stamp: Stamp,
    content: Content,
}

/// What the `shards` contain, in their order. Those that their index knows are not read, unless all are to be read anew.
///
/// # Errors
///
/// When one cannot be read or used.
pub(super) fn contents(shards: &[PathBuf], reading: &Reading) -> Result<Vec<Content>, DataError> {
    let work = "reading the files of shards, to tell later whether they are the same";
    // Whoever reads one that cannot be looked at will say so.
    let bytes = shards.iter().filter_map(|shard| Some(shard.metadata().ok()?.len())).sum();
    let progress = Progress::of_bytes(work, bytes, reading.quiet);
    shards.par_iter().map(|shard| content(shard, reading, &progress)).collect()
}

/// What the shard at `path` contains.
fn content(path: &Path, reading: &Reading, progress: &Progress) -> Result<Content, DataError> {
    let Reading { cache, anew, .. } = reading;
    // By any name, it is the same file.
    let real_path = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    let name = Cache::name("shard", Sha256::new_with_prefix(real_path.as_os_str().as_encoded_bytes()));
    let (stamp, begun) =
        (Stamp::of(path).map_err(|reason| DataError::file(path, reason))?, SystemTime::now());
    let known = if *anew { None } else { cache.read(&name) };
    let known = known.and_then(|bytes| postcard::from_bytes::<Index>(&bytes).ok());
    if let Some(index) = known.filter(|index| index.format == FORMAT && index.stamp == stamp) {
        progress.advance(stamp.size);
        return Ok(index.content);
    }
    let index = Index { format: FORMAT.to_owned(), stamp, content: scan(path, progress)? };
    if stamp.is_settled(begun) {
        // Nothing in it can fail to be written.
        if let Ok(bytes) = postcard::to_extend(&index, Vec::new()) {
            cache.write(&name, bytes);
        }
    }
    Ok(index.content)
}
