//! Reads a shard of a WebDataset from one end to the other: which images it has, where they lie, and of which class they are.

use std::cell::Cell;
use std::collections::HashSet;
use std::fs::File;
use std::io::{BufRead, BufReader, Error, Read, Result as IoResult, Seek, SeekFrom};
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tar::{Archive, Entry};

use super::super::DataError;
use super::super::decode::MOST_BYTES;
use super::super::error::shown;
use super::super::files::foreign;
use super::super::source::{EXTENSIONS, ImageDigest};
use crate::input_file;
use crate::progress::Progress;

/// Most bytes between two members: of headers, and of names that are longer than a header has room for.
const MOST_BETWEEN: u64 = 1 << 20;

/// Most bytes of a file with a label.
const MOST_LABEL: u64 = 1 << 20;

/// The unit of a tar file. It ends with at least one that is empty.
const BLOCK: u64 = 512;

/// Most bytes behind the last file: two empty blocks, padded to a record of 20, as every program that packs does unless told otherwise.
const MOST_BEHIND: u64 = 21 * BLOCK;

/// The command that packs samples as they are best read.
pub(super) const PACKING: &str =
    "`find . -name '*.jpg' | shuf | sed 'p; s/jpg$/cls/' | tar -cf train-0000.tar -T -`";

/// What a shard contains.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Content {
    pub(super) samples: Vec<Sample>,
    /// Files that belong to no sample: how many, and the first ones.
    pub(super) others: (usize, Vec<String>),
}

/// An image of a shard.
#[derive(Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Sample {
    /// Its name in the shard.
    pub(super) name: String,
    /// Where its bytes begin.
    pub(super) start: u64,
    /// How many there are.
    pub(super) length: u64,
    /// Its class.
    pub(super) label: u32,
    pub(super) digest: ImageDigest,
}

/// Others that are named.
const NAMED: usize = 5;

/// Reads the shard at `path`. A sample is all files whose names are the same up to the first dot, its key: an image, and `KEY.cls` with
/// its label, or else `KEY.json` with it in `label` or `cls`.
///
/// # Errors
///
/// When it is no whole tar file, a file in it is sparse or a link, or a sample lacks its image or its label, or has two.
pub(super) fn scan(path: &Path, progress: &Progress) -> Result<Content, DataError> {
    let unreadable = |error: Error| DataError::file(path, format!("cannot be read: {error}"));
    let file = input_file::open(path).map_err(unreadable)?;
    let length = file.metadata().map_err(unreadable)?.len();
    let mut reader = BufReader::with_capacity(1 << 16, file);
    if let Some(reason) = no_tar(reader.fill_buf().map_err(unreadable)?) {
        return Err(DataError::file(path, reason));
    }
    let allowance = Cell::new(MOST_BETWEEN);
    let mut archive = Archive::new(Allowed { reader, allowance: &allowance });
    let mut shard = Shard::default();
    let mut end = 0;
    let mut last = String::new();
    let damaged = |last: &str, error: &Error| {
        let reason = match last {
            "" => format!("is no tar file: {error}"),
            last => format!("is damaged behind `{last}`: {error}"),
        };
        DataError::file(path, reason)
    };
    for entry in archive.entries_with_seek().map_err(|error| damaged("", &error))? {
        allowance.set(u64::MAX);
        let mut entry = entry.map_err(|error| damaged(&last, &error))?;
        last = shown(Path::new(&*String::from_utf8_lossy(&entry.path_bytes())));
        // Its size is not that of its bytes.
        if is_sparse(&mut entry).map_err(unreadable)? {
            let reason = format!("has the sparse file `{last}`: pack the shard again without `--sparse`");
            return Err(DataError::file(path, reason));
        }
        let start = entry.raw_file_position();
        let is_cut = start.checked_add(entry.size()).is_none_or(|end| end > length);
        if is_cut {
            let size = entry.size();
            let reason = format!(
                "has {length} bytes and ends within `{last}`, whose {size} begin at {start}: the download was cut off"
            );
            return Err(DataError::file(path, reason));
        }
        shard.add(&mut entry).map_err(|flaw| flaw.of(path))?;
        let before = std::mem::replace(&mut end, (start + entry.size()).next_multiple_of(BLOCK));
        progress.advance(end - before);
        allowance.set(MOST_BETWEEN);
    }
    if length < end + BLOCK {
        return Err(DataError::file(path, "has no end: the download was cut off"));
    }
    let mut reader = archive.into_inner().reader;
    reader.seek(SeekFrom::Start(end)).map_err(unreadable)?;
    let mut behind = Vec::new();
    reader.take(MOST_BEHIND + 1).read_to_end(&mut behind).map_err(unreadable)?;
    if behind.iter().any(|byte| *byte != 0) {
        let reason = format!("has more behind its end, which is at byte {end}");
        return Err(DataError::file(path, reason).with_help(
            "`cat` does not join tar files, `tar --concatenate --file FIRST.tar SECOND.tar` does; or name each in the pattern",
        ));
    }
    if behind.len() as u64 > MOST_BEHIND {
        let more = length - end;
        let reason = format!(
            "has {more} bytes behind its last file, more than the {MOST_BEHIND} that `tar` ends with: a part is missing, unless `tar -b` packed it"
        );
        let help = format!(
            "copy it again; if it is whole, `truncate --size {}` takes off what is too much",
            end + 2 * BLOCK
        );
        return Err(DataError::file(path, reason).with_help(help));
    }
    shard.end_sample().map_err(|flaw| flaw.of(path))?;
    match shard.content.samples.is_empty() {
        true => Err(DataError::file(path, "has no samples").with_help("a sample is `KEY.jpg` (or `.png`, `.webp`) with `KEY.cls`, and a key ends at the first dot of a name")),
        false => Ok(shard.content),
    }
}

/// What a file is that begins with `start`, if it is known to be no tar file.
fn no_tar(start: &[u8]) -> Option<&'static str> {
    match start {
        [] => Some("is empty"),
        [0x1f, 0x8b, ..] | [0x28, 0xb5, 0x2f, 0xfd, ..] => {
            Some("is compressed: unpack it to a `.tar`, since images are read from anywhere in it")
        }
        start => foreign(start),
    }
}

/// Why a file of a shard cannot be used.
enum Flaw {
    /// A sentence without its subject, which is the shard.
    Content(String),
    /// The same of a sample that lacks a file.
    Incomplete(String),
    Unreadable(Error),
}

impl Flaw {
    /// The error that it is of the shard at `path`.
    fn of(self, path: &Path) -> DataError {
        match self {
            Self::Content(reason) => DataError::file(path, reason),
            Self::Incomplete(reason) => DataError::file(path, reason).with_help(format!(
                "the files of a sample lie one behind the other in a shard, and samples in random order: {PACKING} packs them so"
            )),
            Self::Unreadable(error) => DataError::file(path, format!("cannot be read: {error}")),
        }
    }
}

impl From<Error> for Flaw {
    fn from(error: Error) -> Self {
        Self::Unreadable(error)
    }
}

impl From<String> for Flaw {
    fn from(reason: String) -> Self {
        Self::Content(reason)
    }
}

/// A shard, as far as it was read.
#[derive(Default)]
struct Shard {
    content: Content,
    /// The sample whose files come now.
    current: Option<Parts>,
    /// The keys of the samples so far.
    keys: HashSet<String>,
}

/// The files of a sample.
#[derive(Default)]
struct Parts {
    key: String,
    names: Vec<String>,
    /// All of a [`Sample`] but its label.
    image: Option<Sample>,
    /// What `KEY.cls` says.
    label: Option<u32>,
    /// What `KEY.json` says: a label, or something else in its place.
    described: Option<Result<u32, String>>,
}

impl Shard {
    fn add(&mut self, entry: &mut Entry<impl Read>) -> Result<(), Flaw> {
        let Ok(name) = String::from_utf8(entry.path_bytes().into_owned()) else {
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            return Err(format!("has a file whose name is not UTF-8: `{}`", shown(Path::new(&name))).into());
        };
        let kind = entry.header().entry_type();
        if (kind.is_hard_link() || kind.is_symlink())
            && key(&name).is_some_and(|(_, rest)| is_of_sample(rest))
        {
            let reason = format!(
                "has the link `{name}`: pack the shard again with `--dereference --hard-dereference`"
            );
            return Err(reason.into());
        }
        if !kind.is_file() {
            return Ok(());
        }
        let Some((key, extension)) = key(&name) else {
            self.leave_out([name]);
            return Ok(());
        };
        if self.current.as_ref().is_none_or(|current| current.key != key) {
            self.end_sample()?;
            let key = key.to_owned();
            if !self.keys.insert(key.clone()) {
                let reason = format!("has files of the sample `{key}` in two places, `{name}` in the second");
                return Err(Flaw::Incomplete(reason));
            }
            self.current = Some(Parts { key, ..Parts::default() });
        }
        let Some(current) = &mut self.current else { return Ok(()) };
        match &*extension.to_ascii_lowercase() {
            "cls" => {
                let label = label(entry, &name)?;
                if current.label.replace(label).is_some() {
                    return Err(format!("has `{name}` twice").into());
                }
            }
            "json" => current.described = described(entry)?,
            extension if is_of_sample(extension) => {
                if let Some(other) = &current.image {
                    let (other, key) = (&other.name, &current.key);
                    return Err(
                        format!("has two images of the sample `{key}`: `{other}` and `{name}`").into()
                    );
                }
                let (start, length) = (entry.raw_file_position(), entry.size());
                let digest = digest(entry)?;
                current.image = Some(Sample { name: name.clone(), start, length, label: 0, digest });
            }
            _ => {}
        }
        current.names.push(name);
        Ok(())
    }

    /// Adds the sample whose files have come.
    fn end_sample(&mut self) -> Result<(), Flaw> {
        let Some(Parts { key, names, image, label, described }) = self.current.take() else { return Ok(()) };
        match (image, label, described) {
            (Some(image), Some(label), _) | (Some(image), None, Some(Ok(label))) => {
                self.content.samples.push(Sample { label, ..image });
            }
            (Some(_), None, Some(Err(found))) => {
                let reason =
                    format!("has no label in `{key}.json`, but `{found}`: a number from 0 on is needed");
                return Err(reason.into());
            }
            (Some(image), None, None) => {
                return Err(Flaw::Incomplete(format!(
                    "has no label of `{}`: neither `{key}.cls` nor a `label` in `{key}.json` says its class",
                    image.name
                )));
            }
            (None, Some(_), _) => {
                let names = names.join("`, `");
                return Err(Flaw::Incomplete(format!(
                    "has a label of the sample `{key}`, but no JPEG, PNG or WebP image; it has `{names}`"
                )));
            }
            (None, None, _) => self.leave_out(names),
        }
        Ok(())
    }

    fn leave_out(&mut self, names: impl IntoIterator<Item = String>) {
        let (count, first) = &mut self.content.others;
        for name in names {
            *count += 1;
            if first.len() < NAMED {
                first.push(name);
            }
        }
    }
}

/// The key of a sample, and what kind of file of it that is; `None` of a hidden file. As in WebDataset, a key ends at the first dot
/// behind the last slash.
fn key(name: &str) -> Option<(&str, &str)> {
    let base = name.rfind('/').map_or(0, |slash| slash + 1);
    let dot = base + name[base..].find('.').filter(|dot| *dot > 0)?;
    Some((&name[..dot], &name[dot + 1..]))
}

/// Whether a file is read whose name goes on so behind the key, in small letters or not.
fn is_of_sample(extension: &str) -> bool {
    ["cls", "json"].iter().any(|known| extension.eq_ignore_ascii_case(known))
        || EXTENSIONS.iter().any(|known| extension.eq_ignore_ascii_case(known))
}

/// Whether some of its bytes are not there: GNU tar writes that as a type of its own, or in an extension of POSIX.
fn is_sparse(entry: &mut Entry<impl Read>) -> IoResult<bool> {
    if entry.header().entry_type().is_gnu_sparse() {
        return Ok(true);
    }
    let extensions = if entry.header().entry_type().is_file() { entry.pax_extensions()? } else { None };
    let is_sparse = |key: &[u8]| key.starts_with(b"GNU.sparse.");
    Ok(extensions.into_iter().flatten().flatten().any(|extension| is_sparse(extension.key_bytes())))
}

/// The label that the file `name` says.
fn label(entry: &mut Entry<impl Read>, name: &str) -> Result<u32, Flaw> {
    let mut text = Vec::new();
    if entry.size() <= MOST_LABEL {
        entry.read_to_end(&mut text)?;
    }
    let text = String::from_utf8_lossy(&text);
    text.trim().parse().map_err(|_| {
        format!("has no label in `{name}`, but `{}`: a number from 0 on is needed", start(text.trim())).into()
    })
}

/// The beginning of a `text`.
fn start(text: &str) -> String {
    text.chars().take(20).collect()
}

/// The label that a file in JSON says, or what is in its place.
fn described(entry: &mut Entry<impl Read>) -> IoResult<Option<Result<u32, String>>> {
    if entry.size() > MOST_LABEL {
        return Ok(None);
    }
    let mut text = Vec::new();
    entry.read_to_end(&mut text)?;
    let Ok(values) = serde_json::from_slice::<Value>(&text) else { return Ok(None) };
    let label = |value: &Value| value.as_u64().and_then(|label| u32::try_from(label).ok());
    let found: Vec<&Value> = ["label", "cls"].into_iter().filter_map(|name| values.get(name)).collect();
    let other = || found.first().map(|other| Err(start(&other.to_string())));
    Ok(found.iter().find_map(|value| label(value)).map(Ok).or_else(other))
}

/// The digest of an image; zero if it is longer than any that is read.
fn digest(entry: &mut Entry<impl Read>) -> IoResult<ImageDigest> {
    if entry.size() > MOST_BYTES {
        return Ok(ImageDigest::default());
    }
    let mut hash = Sha256::new();
    std::io::copy(entry, &mut hash)?;
    Ok(hash.finalize().into())
}

/// A file of which only so many bytes are read. The names that a tar file announces could fill the memory.
struct Allowed<'a> {
    reader: BufReader<File>,
    allowance: &'a Cell<u64>,
}

impl Read for Allowed<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> IoResult<usize> {
        let read = self.reader.read(bytes)?;
        let left = self.allowance.get().checked_sub(read as u64);
        let left = left.ok_or_else(|| Error::other("it announces a name of more than 1 MiB"))?;
        self.allowance.set(left);
        Ok(read)
    }
}

impl Seek for Allowed<'_> {
    fn seek(&mut self, to: SeekFrom) -> IoResult<u64> {
        match to {
            // What is buffered is not read again.
            SeekFrom::Current(offset) => {
                self.reader.seek_relative(offset)?;
                self.reader.stream_position()
            }
            to => self.reader.seek(to),
        }
    }
}
