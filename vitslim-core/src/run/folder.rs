//! The folder of a run. Every file in it is written whole or not at all, and only one process at a time works in it.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;
use walkdir::{DirEntry, WalkDir};

use super::lock::{Lock, LockError};
pub(crate) use crate::train::RESULT;
use crate::train::{IDENTITY, RECORD};
use crate::whole_file::{make_folder, remedy, remove, sync_folder, write_whole};

/// What a run leaves beside its `experiment.ron`.
///
/// The summary is removed first: without it a run is not complete, whatever else is left. What the data were is removed last: until
/// then, nothing can go on with others. [`START`] and the files of teachers are not among these: each may be the only copy of a network
/// that is gone.
const RESULTS: [&str; 10] =
    [SUMMARY, FRONTIER, REPORT, RECORD, "tensorboard", MASKS, "checkpoints", SUBNETS, NORMALISATION, DATA];

/// File that a run writes last.
pub(super) const SUMMARY: &str = "summary.json";

/// File with networks of many sizes, evaluated without retraining, as `vitslim frontier` writes it.
pub(crate) const FRONTIER: &str = "frontier.json";

/// File with the page of a run or of a sweep.
pub(crate) const REPORT: &str = "report.html";

/// File with the trained masks.
pub(super) const MASKS: &str = "masks.safetensors";

/// File with the network of another run that this one starts from, as `vitslim export --to safetensors` writes it.
pub(super) const START: &str = "start.safetensors";

/// File with the network of another run that teaches `stage`, likewise.
pub(super) fn teacher_file(stage: &str) -> String {
    format!("teacher-{stage}.safetensors")
}

/// Folder of the sub-networks.
pub(crate) const SUBNETS: &str = "subnets";

/// File with the units that a sub-network keeps.
pub(crate) const PLAN: &str = "plan.ron";

/// File with a sub-network's weights.
pub(super) const WEIGHTS: &str = "model.safetensors";

/// File with what another program needs to compute a sub-network.
pub(crate) const NETWORK: &str = "network.json";

/// File with the experiment, every default spelled out.
pub(crate) const EXPERIMENT: &str = "experiment.ron";

/// File with the classes and the fingerprint of the data.
pub(crate) const DATA: &str = "data.json";

/// File with the normalisation of the pixels.
pub(super) const NORMALISATION: &str = "normalisation.json";

/// The folder `<out>/<experiment>/<trial>`, locked as long as this lives.
#[derive(Debug)]
pub struct RunFolder {
    path: PathBuf,
    lock: Lock,
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
        "{change}; give another folder with `--out`, another name with `--set \
         'name=\"...\"'`, or start again with `--fresh`, which discards {lost}. To extend a run without a sweep, append budgets \
         to those that it has and change nothing else"
    ))]
    OtherExperiment {
        /// The folder of the run.
        path: PathBuf,
        /// The fields that differ, and what they are in both, as a clause.
        change: String,
        /// What was trained there.
        lost: String,
    },
    /// A budget is added whose label a sub-network has that `vitslim slim` cut by another.
    #[error("`{}` is a sub-network of another budget, which `vitslim slim` cut out of this run", .path.display())]
    #[diagnostic(help(
        "give the experiment another `name` or another `--out`; or, to discard that sub-network, delete its folder, and \
         `{}` if it was retrained", .checkpoints.display()
    ))]
    Taken {
        /// The folder of the sub-network.
        path: PathBuf,
        /// That of its checkpoints.
        checkpoints: PathBuf,
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
    /// The run starts from other weights.
    #[error("the network that `pretrained` names is not the one that the run in `{}` started from", .path.display())]
    #[diagnostic(help(
        "restore it, give another folder with `--out`, or start again with `--fresh`, which discards {lost}"
    ))]
    ChangedWeights {
        /// The folder of the run.
        path: PathBuf,
        /// What was trained there.
        lost: String,
    },
    /// A stage has another teacher.
    #[error("the network that teaches `{stage}` is not the one that taught it when the run in `{}` began", .path.display())]
    #[diagnostic(help(
        "restore it, give another folder with `--out`, or start again with `--fresh`, which discards {lost}"
    ))]
    ChangedTeacher {
        /// The folder of the run.
        path: PathBuf,
        /// The stage.
        stage: String,
        /// What was trained there.
        lost: String,
    },
    /// A file of the run cannot be understood.
    #[error("`{}` is damaged: {reason}", .path.display())]
    #[diagnostic(help("{remedy}"))]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// What to do.
        remedy: &'static str,
    },
    /// The normalisation is not that which the run began with.
    #[error("the data have changed since this run began: their normalisation is not that of `{}`", .path.display())]
    #[diagnostic(help(
        "the file says `{there}`, the data now give `{here}`; restore the data, or give another folder with `--out`"
    ))]
    ChangedNormalisation {
        /// The file with the recorded normalisation.
        path: PathBuf,
        /// The recorded value.
        there: String,
        /// The value that the data give now.
        here: String,
    },
    /// The file system of the folder has no locks.
    #[error("`{}` cannot be kept for one process: its file system{file_system} has no locks", .path.display())]
    #[diagnostic(help(
        "give a folder on another file system with `--out`, such as a disk of this machine, or mount this one with locks"
    ))]
    NoLocks {
        /// The folder of the run.
        path: PathBuf,
        /// Its file system, as ` (nfs4, mounted at /home)`.
        file_system: String,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// Another process has started to work in the folder, where locks have no effect.
    #[error("`{}` was taken over by {holder}, which started there after this process", .path.display())]
    #[diagnostic(help(
        "locks have no effect on its file system: run one process at a time there, or give another folder with `--out`"
    ))]
    TakenOver {
        /// The folder of the run.
        path: PathBuf,
        /// The process that started there.
        holder: String,
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
        make_folder(&path).map_err(io("make", &path))?;
        Self::locked(path)
    }

    /// The folder at `path`, which is there, locked.
    ///
    /// # Errors
    ///
    /// When another process is working in it.
    pub(super) fn locked(path: PathBuf) -> Result<Self, FolderError> {
        match Lock::take(&path) {
            Ok(lock) => Ok(Self { path, lock }),
            Err(LockError::Held(holder)) => Err(FolderError::InUse { path, holder }),
            Err(LockError::TakenOver(holder)) => Err(FolderError::TakenOver { path, holder }),
            Err(LockError::NoLocks(file_system, source)) => {
                Err(FolderError::NoLocks { path, file_system, source })
            }
            Err(LockError::File(action, path, source)) => Err(FolderError::Io { action, path, source }),
        }
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
        let held = there.map(|path| Self::locked(path.clone()));
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
        let results = RESULTS.iter().filter(|name| ![NORMALISATION, DATA, REPORT].contains(name));
        let mut entries = results.flat_map(|name| WalkDir::new(path.join(name)));
        let size = |entry: DirEntry| Ok((entry.file_name() == IDENTITY, entry.metadata()?));
        entries.any(|entry| match entry.and_then(size) {
            Ok((is_name, found)) => !is_name && found.is_file() && found.len() > 0,
            Err(error) => error.io_error().is_none_or(|error| error.kind() != std::io::ErrorKind::NotFound),
        })
    }

    pub(super) fn remove_results(&self) -> Result<(), FolderError> {
        let gone = |name: &str| {
            let path = self.path.join(name);
            remove(&path).map_err(io("remove", &path))
        };
        gone(SUMMARY)?;
        sync_folder(&self.path).map_err(io("write", &self.path))?;
        RESULTS.iter().try_for_each(|name| gone(name))
    }

    /// The process that has taken the folder over from this one, if there is one.
    pub(super) fn taken_over(&self) -> Option<String> {
        self.lock.taken_over()
    }

    /// Keeps `network`, of another run, as the file `name`, or none.
    ///
    /// # Errors
    ///
    /// When the file cannot be written, or that of an earlier run not removed.
    pub(super) fn keep(&self, name: &str, network: Option<&[u8]>) -> Result<(), FolderError> {
        let path = self.path.join(name);
        match network {
            None => remove(&path).map_err(io("remove", &path)),
            Some(network) if std::fs::read(&path).is_ok_and(|there| there == network) => Ok(()),
            Some(network) => self.write(name, network),
        }
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
    /// When it cannot be written, or another process has taken the folder over.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        if let Some(holder) = self.taken_over() {
            return Err(FolderError::TakenOver { path: self.path.clone(), holder });
        }
        let path = self.path.join(name);
        write_whole(&path, bytes).map_err(io("write", &path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_network_that_a_run_starts_from_outlasts_its_results_and_no_other_start() {
        let out = tempfile::tempdir().unwrap();
        let folder = RunFolder::open(out.path(), "a", "seed=1").unwrap();
        let kept = || std::fs::read(folder.path().join(START)).ok();
        folder.keep(START, Some(b"one")).unwrap();
        folder.write(MASKS, b"masks").unwrap();
        folder.remove_results().unwrap();
        assert!(kept().is_some() && !folder.path().join(MASKS).exists());
        folder.keep(START, Some(b"two")).unwrap();
        assert_eq!(kept().as_deref(), Some(&b"two"[..]));
        folder.keep(START, None).unwrap();
        assert_eq!(kept(), None);
    }

    #[test]
    fn a_folder_in_use_is_refused_with_its_holder() {
        let out = tempfile::tempdir().unwrap();
        let begin = || RunFolder::open(out.path(), "a", "seed=1");
        let folder = begin().unwrap();
        let error = begin().unwrap_err().to_string();
        assert!(error.contains(&format!("in use by process {}", std::process::id())), "{error}");
        // Another process started there, where locks have no effect.
        std::fs::write(folder.path().join("lock"), "process 7\n").unwrap();
        let error = folder.write("summary.json", b"{}").unwrap_err().to_string();
        assert!(error.contains("taken over by process 7") && !folder.path().join("summary.json").exists());
        drop(folder);
        begin().unwrap();
    }
}
