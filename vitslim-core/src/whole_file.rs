//! Files that are written whole or not at all.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// Writes `bytes` to `path` in a way that no crash and no power cut leaves a partial file: to a file beside it, which is synced and
/// then renamed, and the folder is synced too, as SQLite does. Creates missing folders.
///
/// # Errors
///
/// When it cannot be written. The old file, if any, is still there.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let folder = path.parent().unwrap_or(Path::new("."));
    make_folder(folder)?;
    // Created like any other file, so that not only its owner can read it, and errors do not name it.
    let mut beside = Builder::new().make_in(folder, |path| File::create_new(path))?;
    beside.as_file_mut().write_all(bytes)?;
    beside.as_file().sync_all()?;
    beside.persist(path).map_err(|error| error.error)?;
    sync_folder(folder)
}

/// Creates the folder `path` and those above it that are missing, and syncs the folders that they are in.
///
/// # Errors
///
/// When one cannot be created.
pub(crate) fn make_folder(path: &Path) -> Result<(), Error> {
    if path.is_dir() || path.as_os_str().is_empty() {
        return Ok(());
    }
    let above = path.parent().unwrap_or(Path::new(""));
    make_folder(above)?;
    match std::fs::create_dir(path) {
        // Another process may have created it meanwhile.
        Err(_) if path.is_dir() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => sync_folder(above),
    }
}

/// Waits until the disk has the names of the files in the folder `path`.
///
/// # Errors
///
/// When the disk fails. A folder that cannot be synced, since the system or its permissions do not allow it, is left as it is.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    let Ok(folder) = File::open(path) else { return Ok(()) };
    match folder.sync_all() {
        Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => Err(error),
        _ => Ok(()),
    }
}

/// What to do about a file that cannot be read or written, for the help of an error.
pub(crate) fn remedy(error: &Error) -> &'static str {
    match error.kind() {
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
            "free some space: the same command, without `--fresh`, then resumes from the last complete file"
        }
        ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => {
            "make the folder writable, or choose another with `--out`"
        }
        ErrorKind::NotADirectory | ErrorKind::IsADirectory | ErrorKind::AlreadyExists => {
            "there is a file where a folder must be, or the other way round: move it, or choose another folder with `--out`"
        }
        _ => "when that is fixed, the same command, without `--fresh`, resumes from the last complete file",
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

/// Removes the files and folders at `paths`, if they exist, in a way that no power cut brings them back.
///
/// # Errors
///
/// When one exists and cannot be removed.
pub(crate) fn remove_all(paths: &[PathBuf]) -> Result<(), Error> {
    paths.iter().try_for_each(|path| remove(path))?;
    let folders: BTreeSet<&Path> = paths.iter().filter_map(|path| path.parent()).collect();
    folders.into_iter().try_for_each(sync_folder)
}
