//! Opens the files and folders that a user names.

use std::io::{BufRead, BufReader, ErrorKind, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;

use super::DataError;
use crate::input_file;

/// How files begin that are not data, and what to say about them.
const FOREIGN: [(&[u8], &str); 4] = [
    (b"version https://git-lfs", "is a pointer of git LFS, not the data itself: run `git lfs pull`"),
    (b"PK\x03\x04", "is a zip archive: unpack it"),
    (b"BZh", "is compressed by bzip2: unpack it"),
    (b"\xfd7zXZ", "is compressed by xz: unpack it"),
];

/// How web pages begin. A `<` alone might be a pixel.
const WEB_PAGE: [&str; 7] = ["<!doctype", "<html", "<head", "<body", "<title", "<script", "<?xml"];

/// Checks that `path` is a folder.
///
/// # Errors
///
/// When it is not one, or cannot be read.
pub(crate) fn check_folder(path: &Path) -> Result<(), DataError> {
    if path.as_os_str().is_empty() {
        return Err(DataError::setting(&["path"], "is empty: it must be the folder that holds the data"));
    }
    let error = match path.metadata() {
        Ok(found) if found.is_dir() => return Ok(()),
        Ok(_) => DataError::file(path, "is a file, where the folder that holds the data is expected"),
        Err(error) if error.kind() == ErrorKind::NotFound => DataError::file(path, "does not exist"),
        Err(error) => DataError::file(path, format!("cannot be read: {error}")),
    };
    Err(match (path.starts_with("~"), std::env::current_dir()) {
        (true, _) => error.with_help("`~` is not replaced by the home folder: write it out"),
        (false, Ok(here)) if path.is_relative() => {
            error.with_help(format!("a relative path begins at the current folder, `{}`", here.display()))
        }
        _ => error,
    })
}

/// The first of `names` that is in `folder`.
pub(super) fn find(folder: &Path, names: &[String]) -> Result<PathBuf, DataError> {
    let found = names.iter().map(|name| folder.join(name)).find(|path| path.exists());
    found.ok_or_else(|| {
        let or = match names.len() {
            1 => String::new(),
            _ => format!(
                " (nor {})",
                names[1..].iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ),
        };
        DataError::file(folder, format!("has no file `{}`{or}", names[0]))
    })
}

/// What the file is that begins with `start`, if it is known to be no data.
pub(super) fn foreign(start: &[u8]) -> Option<&'static str> {
    let text = start.trim_ascii_start();
    let begins =
        |page: &&str| text.get(..page.len()).is_some_and(|start| start.eq_ignore_ascii_case(page.as_bytes()));
    if WEB_PAGE.iter().any(begins) {
        return Some("is a web page, not data: the download went wrong");
    }
    FOREIGN.iter().find(|(magic, _)| text.starts_with(magic)).map(|(_, reason)| *reason)
}

/// A data file that is being read, decompressed if its content is gzip, whatever its name.
pub(super) struct DataFile {
    path: PathBuf,
    reader: Box<dyn BufRead>,
    compressed: bool,
    /// Bytes as they are stored.
    length: u64,
}

impl DataFile {
    /// Opens `path`.
    pub(super) fn open(path: &Path) -> Result<Self, DataError> {
        let unreadable = |error| DataError::file(path, format!("cannot be read: {error}"));
        let file = input_file::open(path).map_err(unreadable)?;
        let length = file.metadata().map_err(unreadable)?.len();
        let mut plain = BufReader::new(file);
        let compressed = plain.fill_buf().map_err(unreadable)?.starts_with(&[0x1f, 0x8b]);
        let reader: Box<dyn BufRead> = match compressed {
            true => Box::new(BufReader::new(MultiGzDecoder::new(plain))),
            false => Box::new(plain),
        };
        let mut file = Self { path: path.to_owned(), reader, compressed, length };
        let start = file.reader.fill_buf().map_err(|error| unreadable_content(path, compressed, &error))?;
        if start.is_empty() {
            return Err(file.error("is empty"));
        }
        match foreign(start) {
            Some(reason) => Err(file.error(reason)),
            None => Ok(file),
        }
    }

    /// The next `bytes` bytes, or as many as there are.
    pub(super) fn read(&mut self, bytes: usize) -> Result<Vec<u8>, DataError> {
        let mut read = Vec::new();
        let result = (&mut self.reader).take(bytes as u64).read_to_end(&mut read);
        result.map_err(|error| unreadable_content(&self.path, self.compressed, &error))?;
        Ok(read)
    }

    /// All that is left, if it is not more than `most` bytes.
    pub(super) fn read_all(&mut self, most: usize) -> Result<Vec<u8>, DataError> {
        let is_known = !self.compressed && self.length > most as u64;
        let bytes = if is_known { Vec::new() } else { self.read(most + 1)? };
        match is_known || bytes.len() > most {
            true => Err(self.error(format!("has more than the {} MiB that are read", most >> 20))),
            false => Ok(bytes),
        }
    }

    /// An error about this file.
    pub(super) fn error(&self, reason: impl Into<String>) -> DataError {
        DataError::file(&self.path, reason)
    }
}

fn unreadable_content(path: &Path, compressed: bool, error: &std::io::Error) -> DataError {
    DataError::file(
        path,
        match (compressed, error.kind()) {
            (true, ErrorKind::UnexpectedEof) => {
                "is a gzip file that ends too early: the download was cut off".to_owned()
            }
            (true, ErrorKind::InvalidInput | ErrorKind::InvalidData) => {
                format!("is a damaged gzip file ({error})")
            }
            _ => format!("cannot be read: {error}"),
        },
    )
}
