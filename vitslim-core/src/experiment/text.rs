//! The text of an experiment file.

use std::io::ErrorKind;
use std::path::Path;

use miette::Diagnostic;
use thiserror::Error;

use crate::input_file;

/// Bytes that are read: more is no experiment.
const MOST_BYTES: u64 = 16 << 20;

/// Why a file has no text. Each message goes on behind the name of the file.
#[derive(Debug, Error, Diagnostic)]
pub enum TextError {
    /// There is no such file.
    #[error("does not exist")]
    Missing,
    /// It is a folder.
    #[error("is a folder, expected an experiment file such as `experiments/digits.ron`")]
    Folder,
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(std::io::Error),
    /// It is text in UTF-16.
    #[error("is in UTF-16, not in UTF-8")]
    #[diagnostic(help("convert it: `iconv -f {0} -t UTF-8 old.ron > new.ron`"))]
    Utf16(&'static str),
    /// It is text in an encoding of one byte a character.
    #[error("is not in UTF-8 but probably in {encoding}, as its byte {offset} shows")]
    #[diagnostic(help("convert it: `iconv -f {encoding} -t UTF-8 old.ron > new.ron`"))]
    Encoding {
        /// The encoding, as `iconv` calls it.
        encoding: &'static str,
        /// The first byte that is not UTF-8.
        offset: usize,
    },
    /// It is text in UTF-8, but for some of its bytes.
    #[error("is damaged UTF-8 at byte {0}")]
    #[diagnostic(help("write the character there again"))]
    Damaged(usize),
    /// It is no text.
    #[error("is not a text file: its byte {0} is not UTF-8")]
    NoText(usize),
    /// There is nothing in it.
    #[error("is empty, expected `Experiment(...)`")]
    Empty,
}

/// The text of the file at `path`, without the byte order mark that it may begin with.
pub(super) fn read_text(path: &Path) -> Result<String, TextError> {
    if path.is_dir() {
        return Err(TextError::Folder);
    }
    let bytes = input_file::read(path, MOST_BYTES).map_err(|error| match error.kind() {
        ErrorKind::NotFound => TextError::Missing,
        _ => TextError::Unreadable(error),
    })?;
    if let Some(encoding) = utf_16(&bytes) {
        return Err(TextError::Utf16(encoding));
    }
    let text = String::from_utf8(bytes)
        .map_err(|error| no_utf_8(error.as_bytes(), error.utf8_error().valid_up_to()))?;
    let text = without_mark(&text);
    if text.trim().is_empty() { Err(TextError::Empty) } else { Ok(text.to_owned()) }
}

/// `text` without its byte order mark.
pub(super) fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

/// The encoding of a text in UTF-16, which has a mark at its start, or a zero in each of its first characters.
fn utf_16(bytes: &[u8]) -> Option<&'static str> {
    match bytes {
        [0xff, 0xfe, ..] | [0xfe, 0xff, ..] => Some("UTF-16"),
        [1..=255, 0, 1..=255, 0, ..] => Some("UTF-16LE"),
        [0, 1..=255, 0, 1..=255, ..] => Some("UTF-16BE"),
        _ => None,
    }
}

/// What `bytes` are, which are not UTF-8 at `offset`: no text has other control characters than line breaks and tabs.
fn no_utf_8(bytes: &[u8], offset: usize) -> TextError {
    if bytes.iter().any(|byte| byte.is_ascii_control() && !byte.is_ascii_whitespace()) {
        return TextError::NoText(offset);
    }
    let broken = bytes.utf8_chunks().filter(|chunk| !chunk.invalid().is_empty()).count();
    let whole: usize =
        bytes.utf8_chunks().map(|chunk| chunk.valid().chars().filter(|c| !c.is_ascii()).count()).sum();
    // Hardly any text of one byte a character has two in a row that are UTF-8.
    if whole >= broken {
        return TextError::Damaged(offset);
    }
    let latin = !bytes.iter().any(|byte| (0x80..0xa0).contains(byte));
    TextError::Encoding { encoding: if latin { "LATIN1" } else { "WINDOWS-1252" }, offset }
}
