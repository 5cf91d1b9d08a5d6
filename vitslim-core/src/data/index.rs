//! The index of a folder: the digest of each file, by its name and by its size, time of modification and inode. Who asks again for the
//! digests of an unchanged folder reads no file.

use std::collections::HashMap;
use std::fs::Metadata;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::cache::Cache;
use super::decode::MOST_BYTES;
use super::error::shown;
use super::reading::Reading;
use super::source::ImageDigest;
use crate::input_file;
use crate::progress::Progress;

/// How the index is written.
const FORMAT: &str = "vitslim index 1";

/// A file may change twice within the resolution of its time, which is 2 seconds on some file systems. Its digest is kept only if it was
/// modified longer before it was read: git calls the others racily clean.
const UNSETTLED: Duration = Duration::from_secs(3);

/// Files between two looks at the clock.
const CHUNK: usize = 1 << 12;

/// Time after which what was read so far is kept.
const SAVE_INTERVAL: Duration = Duration::from_secs(60);

/// The digests of the files of a folder.
#[derive(Debug, Default)]
pub(super) struct Digests {
    /// The digest of each file.
    pub(super) of: Vec<ImageDigest>,
    /// Files that the system does not let us read, and why: a sentence without its subject.
    pub(super) refused: Vec<(usize, String)>,
    /// Files whose bytes were read, in their order.
    #[cfg_attr(not(test), expect(dead_code, reason = "tests tell by it what the index knew"))]
    pub(super) read: Vec<usize>,
}

/// An index as it is written.
#[derive(Serialize, Deserialize)]
struct Index<'a> {
    format: &'a str,
    #[serde(borrow)]
    files: Vec<Known<'a>>,
}

/// What is known of a file.
#[derive(Serialize, Deserialize)]
struct Known<'a> {
    /// Its path within the folder.
    #[serde(borrow)]
    name: &'a [u8],
    stamp: Stamp,
    digest: ImageDigest,
}

/// By what a change of a file is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Its size in bytes.
    pub(super) size: u64,
    /// When it was last modified, in nanoseconds since 1970.
    modified: i128,
    /// Its number in the file system. It tells two files that exchanged their names: many may have the same size and time.
    inode: u64,
}

impl Stamp {
    /// The stamp of the file at `path`, or why there is none.
    pub(super) fn of(path: &Path) -> Result<Self, String> {
        let found = path.metadata().and_then(|found| Ok((found.modified()?, found)));
        let (modified, found) = found.map_err(|error| refused(&error))?;
        Ok(Self { size: found.len(), modified: nanoseconds(modified), inode: inode(&found) })
    }

    /// Whether a change of the file after the time `now` changes its stamp.
    pub(super) fn is_settled(&self, now: SystemTime) -> bool {
        self.modified + (UNSETTLED.as_nanos() as i128) < nanoseconds(now)
    }
}

#[cfg(unix)]
fn inode(found: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(found)
}

#[cfg(not(unix))]
fn inode(_: &Metadata) -> u64 {
    0
}

fn nanoseconds(time: SystemTime) -> i128 {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => after.as_nanos() as i128,
        Err(before) => -(before.duration().as_nanos() as i128),
    }
}

fn refused(error: &std::io::Error) -> String {
    format!("cannot be read: {error}")
}

/// The digests of the files `paths` of the folder `root`. Those that its index knows are not read, unless all are to be read anew.
pub(super) fn digests(root: &Path, paths: &[PathBuf], reading: &Reading) -> Digests {
    let Reading { cache, anew, quiet } = reading;
    // By any name, it is the same folder.
    let real_root = root.canonicalize().unwrap_or_else(|_| root.to_owned());
    let file = Cache::name("index", Sha256::new_with_prefix(real_root.as_os_str().as_encoded_bytes()));
    let kept = if *anew { None } else { cache.read(&file) };
    let known = kept.as_deref().map(read).unwrap_or_default();

    let begun = SystemTime::now();
    let stamps: Vec<Result<Stamp, String>> = paths.par_iter().map(|path| Stamp::of(path)).collect();
    let digest = |(path, stamp): (&PathBuf, &Result<Stamp, String>)| {
        let stamp = stamp.as_ref().ok()?;
        let known = known.get(name(root, path)).filter(|(known, _)| known == stamp);
        let is_long = (stamp.size > MOST_BYTES).then(ImageDigest::default);
        known.map(|(_, digest)| *digest).or(is_long)
    };
    let mut found: Vec<Option<ImageDigest>> = paths.par_iter().zip(&stamps).map(digest).collect();

    let save = |found: &[Option<ImageDigest>]| {
        let files = paths.iter().zip(&stamps).zip(found).filter_map(|((path, stamp), digest)| {
            let stamp = *stamp.as_ref().ok().filter(|stamp| stamp.is_settled(begun))?;
            Some(Known { name: name(root, path), stamp, digest: (*digest)? })
        });
        let index = Index { format: FORMAT, files: files.collect() };
        // Nothing in it can fail to be written.
        if let Ok(bytes) = postcard::to_extend(&index, Vec::new()) {
            cache.write(&file, bytes);
        }
    };
    let mut refused: Vec<(usize, String)> =
        stamps.iter().enumerate().filter_map(|(at, stamp)| Some((at, stamp.clone().err()?))).collect();
    let unknown: Vec<usize> =
        (0..paths.len()).filter(|&at| found[at].is_none() && stamps[at].is_ok()).collect();
    let work = format!("reading the images of `{}`, to tell later whether they are the same", shown(root));
    let (progress, mut saved) = (Progress::new(work, Some(unknown.len()), *quiet), Instant::now());
    for chunk in unknown.chunks(CHUNK) {
        let hash = |&at: &usize| {
            let digest = hash(&paths[at]);
            progress.add();
            digest
        };
        let hashed: Vec<Result<ImageDigest, String>> = chunk.par_iter().map(hash).collect();
        for (&at, digest) in chunk.iter().zip(hashed) {
            match digest {
                Ok(digest) => found[at] = Some(digest),
                Err(reason) => refused.push((at, reason)),
            }
        }
        if saved.elapsed() > SAVE_INTERVAL {
            save(&found);
            saved = Instant::now();
        }
    }
    let is_settled = |&at: &usize| stamps[at].as_ref().is_ok_and(|stamp| stamp.is_settled(begun));
    let kept = (0..paths.len()).filter(|at| found[*at].is_some() && is_settled(at)).count();
    if unknown.iter().any(is_settled) || kept != known.len() {
        save(&found);
    }
    refused.sort();
    Digests { of: found.into_iter().map(Option::unwrap_or_default).collect(), refused, read: unknown }
}

/// What the index in `bytes` knows of each file; nothing if another version wrote it.
fn read(bytes: &[u8]) -> HashMap<&[u8], (Stamp, ImageDigest)> {
    let index: Option<Index> = postcard::from_bytes(bytes).ok();
    let index = index.filter(|index| index.format == FORMAT);
    let files = index.map(|index| index.files).unwrap_or_default();
    files.into_iter().map(|file| (file.name, (file.stamp, file.digest))).collect()
}

/// The path of a file within the folder `root`.
fn name<'a>(root: &Path, path: &'a Path) -> &'a [u8] {
    path.strip_prefix(root).unwrap_or(path).as_os_str().as_encoded_bytes()
}

fn hash(path: &Path) -> Result<ImageDigest, String> {
    let hashed = || {
        let mut hash = Sha256::new();
        let mut file = BufReader::with_capacity(1 << 16, input_file::open(path)?);
        std::io::copy(&mut file, &mut hash)?;
        Ok(hash.finalize().into())
    };
    hashed().map_err(|error| refused(&error))
}
