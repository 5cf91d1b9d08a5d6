//! Files that are written whole or not at all.

use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::Path;

use tempfile::Builder;

/// Writes `bytes` to `path` in a way that no crash leaves a partial file: to a file beside it, which is synced and then
/// renamed. Creates missing folders.
///
/// # Errors
///
/// When it cannot be written. The old file, if any, is still there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(folder)?;
    // Created like any other file, so that not only its owner can read it, and errors do not name it.
    let mut beside = Builder::new().make_in(folder, |path| File::create_new(path))?;
    beside.as_file_mut().write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    Ok(())
}

/// What to do about a file that cannot be read or written, for the help of an error.
pub(crate) fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space and run the same command again: it resumes from the last complete file"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "make the folder writable, or choose another with `--out`"
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            "there is a file where a folder must be, or the other way round: move it, or choose another folder with `--out`"
        }
        _ => "when that is fixed, run the same command again: it resumes from the last complete file",
    }
}

/// Removes the file or folder at `path`, if it exists.
///
/// # Errors
///
/// When it exists and cannot be removed.
pub(crate) fn remove(path: &Path) -> Result<(), Error> {
    let removed = if path.is_dir() { std::fs::remove_dir_all(path) } else { std::fs::remove_file(path) };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
