//! Where the bytes of images are.

use std::borrow::Cow;
use std::fs::File;
use std::io::{BufReader, Error, ErrorKind, Read, Result, Seek, SeekFrom, Take};
use std::path::{Path, PathBuf};

use crate::input_file;

/// Bytes that are read ahead of a decoder.
const BUFFER: usize = 1 << 16;

/// SHA-256 of an image: of the bytes of its file, which no version of a decoder changes, or of its pixels if it has no file. That of a
/// file that cannot be read, or is longer than any image that is read, is zero.
pub(super) type ImageDigest = [u8; 32];

/// Extensions of images, in any case.
pub(super) const EXTENSIONS: [&str; 6] = ["jpg", "jpeg", "jpe", "jfif", "png", "webp"];

/// Whether the file at `path` is called as an image that is read.
pub(super) fn is_image(path: &Path) -> bool {
    has_extension(path, &EXTENSIONS)
}

/// Whether the file at `path` has one of `extensions`, in any case.
pub(super) fn has_extension(path: &Path, extensions: &[&str]) -> bool {
    let extension = path.extension().unwrap_or_default();
    extensions.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Where the bytes of each image are.
#[derive(Debug)]
pub(super) enum Sources {
    /// Each in a file of its own.
    Files(Vec<PathBuf>),
    /// In `.tar` files.
    Members {
        /// Their paths.
        shards: Vec<PathBuf>,
        /// The images in them.
        members: Vec<Member>,
    },
}

/// An image in a shard.
#[derive(Debug)]
pub(super) struct Member {
    /// Which of the shards.
    pub(super) shard: usize,
    /// Its name there.
    pub(super) name: Box<str>,
    /// Where its bytes begin.
    pub(super) start: u64,
    /// How many there are.
    pub(super) length: u64,
    /// Their digest.
    pub(super) digest: ImageDigest,
}

/// Where the bytes of an image are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Source<'a> {
    /// In this file, all of it.
    File(&'a Path),
    /// In a part of the file at this path.
    Member(&'a Path, &'a Member),
}

impl Sources {
    /// Number of images.
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Files(paths) => paths.len(),
            Self::Members { members, .. } => members.len(),
        }
    }

    /// Where the bytes of image `index` are.
    pub(super) fn get(&self, index: usize) -> Source<'_> {
        match self {
            Self::Files(paths) => Source::File(&paths[index]),
            Self::Members { shards, members } => {
                let member = &members[index];
                Source::Member(&shards[member.shard], member)
            }
        }
    }
}

impl<'a> Source<'a> {
    /// The path of an image, as it is told: that of its file, or that of its shard and its name there.
    pub(super) fn path(self) -> Cow<'a, Path> {
        match self {
            Self::File(path) => path.into(),
            // Else, a name from the root on would be without its shard.
            Self::Member(shard, member) => shard.join(member.name.trim_start_matches('/')).into(),
        }
    }

    /// The bytes of an image, to be read, and how many there are.
    ///
    /// # Errors
    ///
    /// When the system does not let us read the file, or a shard has become shorter.
    pub(super) fn open(self) -> Result<(BufReader<Take<File>>, u64)> {
        let (Self::File(path) | Self::Member(path, _)) = self;
        let mut file = input_file::open(path)?;
        let all = file.metadata()?.len();
        let (start, length) = match self {
            Self::File(_) => (0, all),
            Self::Member(_, member) => (member.start, member.length),
        };
        if start.saturating_add(length) > all {
            return Err(Error::new(ErrorKind::UnexpectedEof, "the shard has become shorter"));
        }
        if start > 0 {
            file.seek(SeekFrom::Start(start))?;
        }
        Ok((BufReader::with_capacity(BUFFER, file.take(length)), length))
    }
}
