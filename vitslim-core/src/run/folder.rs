//! The folder of a run. Every file in it is written whole or not at all, and only one process at a time works in it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use miette::Diagnostic;
use thiserror::Error;
use walkdir::WalkDir;

use crate::train::RECORD;
use crate::whole_file::{remedy, remove, write_whole};

/// What a run leaves beside its `experiment.ron`.
///
/// The summary is removed first: without it a run is not complete, whatever else is left.
const RESULTS: [&str; 8] =
    [SUMMARY, NORMALISATION, DATA, RECORD, "tensorboard", MASKS, "checkpoints", SUBNETS];

/// File that a run writes last.
pub(super) const SUMMARY: &str = "summary.json";

/// File with the trained masks.
pub(super) const MASKS: &str = "masks.safetensors";

/// Folder of the sub-networks.
pub(super) const SUBNETS: &str = "subnets";

/// File with the units that a sub-network keeps.
pub(super) const PLAN: &str = "plan.ron";

/// File with a sub-network's weights.
pub(super) const WEIGHTS: &str = "model.safetensors";

/// File with what another program needs to compute a sub-network.
pub(super) const NETWORK: &str = "network.json";

/// File with a sub-network's results, which is written last.
pub(super) const RESULT: &str = "result.json";

/// File with the experiment, every default spelled out.
pub(super) const EXPERIMENT: &str = "experiment.ron";

/// File that locks a folder.
pub(super) const LOCK: &str = "lock";

/// Wait before a lock is tried once more: a process that only checks whether it is held takes it for a moment.
const MOMENT: Duration = Duration::from_millis(50);

/// File with the classes and the fingerprint of the data.
pub(super) const DATA: &str = "data.json";

/// File with the normalisation of the pixels.
pub(super) const NORMALISATION: &str = "normalisation.json";

/// The folder `<out>/<experiment>/<trial>`, locked as long as this lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    _lock: File,
}

/// A folder that cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum FolderError {
    /// Something cannot be read or written.
    #[error("cannot {action} `{}`", .path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    Io {
        /// The operation: `read`, `write` and so on.
        action: &'static str,
        /// The file or folder that it failed on.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The folder has the results of another experiment.
    #[error("`{}` holds the results of another experiment of this name", .path.display())]
    #[diagnostic(help(
        "there it says `{there}`, here `{here}`; give another folder with `--out`, another name with `--set \
         'name=\"...\"'`, or start again with `--fresh`, which discards {lost}. To extend a run without a sweep, append budgets \
         to those that it has and change nothing else"
    ))]
    OtherExperiment {
        /// The folder of the run.
        path: PathBuf,
        /// The first line that differs, in the folder's experiment.
        there: String,
        /// The same line in this experiment.
        here: String,
        /// What was trained there.
        lost: String,
    },
    /// The folder no longer has everything that is needed to go on.
    #[error("`{}` no longer has all of its checkpoints and of `metrics.jsonl`, so {consequence}", .path.display())]
    #[diagnostic(help(
        "restore them, give another folder with `--out`, another name with `--set 'name=\"...\"'`, or start again with `--fresh`"
    ))]
    Bare {
        /// The folder of the run.
        path: PathBuf,
        /// What cannot be done, as a clause.
        consequence: String,
    },
    /// The run began with other images or classes.
    #[error("the data have changed since the run in `{}` began: {change}", .path.display())]
    #[diagnostic(help(
        "restore the data, give another folder with `--out`, or start again with `--fresh`, which discards {lost}"
    ))]
    ChangedData {
        /// The folder of the run.
        path: PathBuf,
        /// The first thing that differs, as a clause.
        change: String,
        /// What was trained there.
        lost: String,
    },
    /// A file of the run cannot be understood.
    #[error("`{}` is damaged: {reason}", .path.display())]
    #[diagnostic(help("restore it, or start again with `--fresh`"))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The normalisation is not that which the run began with.
    #[error("the data have changed since this run began: their normalisation is not that of `{}`", .path.display())]
    #[diagnostic(help(
        "the file says `{there}`, the data now give `{here}`; restore the data, or start again with `--fresh`"
    ))]
    OtherData {
        /// The file with the recorded normalisation.
        path: PathBuf,
        /// The recorded value.
        there: String,
        /// The value that the data give now.
        here: String,
    },
    /// Another process is working in the folder.
    #[error("`{}` is in use by {holder}", .path.display())]
    #[diagnostic(help("wait for it, stop it, or give another folder with `--out`"))]
    InUse {
        /// The folder of the run.
        path: PathBuf,
        /// The process that holds the lock.
        holder: String,
    },
}

pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(std::io::Error) -> FolderError + use<> {
    let path = path.to_owned();
    move |source| FolderError::Io { action, path, source }
}

impl RunFolder {
    /// Creates the folder, and locks it.
    ///
    /// # Errors
    ///
    /// When it cannot be created, or another process is working in it.
    pub fn open(out: &Path, name: &str, trial: &str) -> Result<Self, FolderError> {
        let path = out.join(name).join(trial);
        std::fs::create_dir_all(&path).map_err(io("make", &path))?;
        Ok(Self { _lock: lock(&path)?, path })
    }

    /// Removes what runs left in `folders`, and then what `and_then` removes. No process can start to work in them meanwhile.
    ///
    /// # Errors
    ///
    /// When a process is working in one, or something cannot be removed.
    pub fn clear(
        folders: &[PathBuf],
        and_then: impl FnOnce() -> Result<(), FolderError>,
    ) -> Result<(), FolderError> {
        let there = folders.iter().filter(|path| path.is_dir());
        let held = there.map(|path| Ok(Self { _lock: lock(path)?, path: path.clone() }));
        let held = held.collect::<Result<Vec<_>, FolderError>>()?;
        held.iter().try_for_each(Self::remove_results)?;
        and_then()
    }

    /// Path of the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether the folder `path` has anything that took time to make: a file that is not empty, or one that cannot be read.
    pub(super) fn has_results(path: &Path) -> bool {
        let results = RESULTS.iter().filter(|name| ![NORMALISATION, DATA].contains(name));
        let mut entries = results.flat_map(|name| WalkDir::new(path.join(name)));
        entries.any(|entry| match entry.and_then(|entry| entry.metadata()) {
            Ok(found) => found.is_file() && found.len() > 0,
            Err(error) => error.io_error().is_none_or(|error| error.kind() != std::io::ErrorKind::NotFound),
        })
    }

    pub(super) fn remove_results(&self) -> Result<(), FolderError> {
        RESULTS
            .iter()
            .map(|name| self.path.join(name))
            .try_for_each(|path| remove(&path).map_err(io("remove", &path)))
    }

    /// The content of the file `name`, or `None` if there is none.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn read(&self, name: &str) -> Result<Option<String>, FolderError> {
        Self::read_in(&self.path, name)
    }

    /// The content of the file `name` in the folder `path`, which need not be locked.
    pub(super) fn read_in(path: &Path, name: &str) -> Result<Option<String>, FolderError> {
        let path = path.join(name);
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(FolderError::Io { action: "read", path, source }),
        }
    }

    /// Writes `bytes` to the file `name`, which may be in a subfolder.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path.join(name);
        write_whole(&path, bytes).map_err(io("write", &path))
    }
}

/// Locks the folder at `path`. The system releases the lock when its holder ends, in whatever way, so that no lock is ever stale;
/// the file only says who holds it.
fn lock(path: &Path) -> Result<File, FolderError> {
    let file = path.join(LOCK);
    let mut options = File::options();
    let mut lock =
        options.read(true).write(true).create(true).truncate(false).open(&file).map_err(io("open", &file))?;
    let taken = lock.try_lock().or_else(|_| {
        std::thread::sleep(MOMENT);
        lock.try_lock()
    });
    match taken {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // The holder can be unknown, but there is one.
            let _ = lock.read_to_string(&mut holder);
            let holder = if holder.is_empty() { "another process".to_owned() } else { holder };
            return Err(FolderError::InUse { path: path.to_owned(), holder });
        }
        Err(TryLockError::Error(source)) => {
            return Err(FolderError::Io { action: "lock", path: file, source });
        }
    }
    lock.set_len(0).map_err(io("write", &file))?;
    lock.rewind().map_err(io("write", &file))?;
    write!(lock, "process {}", std::process::id()).map_err(io("write", &file))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_in_use_is_refused_with_its_holder() {
        let out = tempfile::tempdir().unwrap();
        let begin = || RunFolder::open(out.path(), "a", "seed=1");
        let folder = begin().unwrap();
        let error = begin().unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        drop(folder);
        begin().unwrap();
    }
}
