//! Files that are there whole or not at all.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::Path;

use tempfile::Builder;

/// Writes `bytes` to `path`, whatever happens meanwhile: beside it, synced, then renamed. Makes the folders that lack.
///
/// # Errors
///
/// When it cannot be written; what was there before is then still there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Made as any other file, so that not only its owner can read it, and errors do not name it.
    let mut beside = Builder::new().make_in(folder, |path| File::create_new(path))?;
    beside.as_file_mut().write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// What to do about a file that cannot be used, for the help of an error.
pub(crate) fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "make room and give the same command again: the run goes on from the last file that is whole"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "see to it that you may write there, or give another folder with `--out`"
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            "a file is where a folder must be, or the other way round: move it away, or give another folder with `--out`"
        }
        _ => {
            "when that is mended, give the same command again: the run goes on from the last file that is whole"
        }
    }
}

/// Removes the file or folder at `path`, if it is there.
///
/// # Errors
///
/// When it is there and cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
