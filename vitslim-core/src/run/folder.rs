//! The folder of a run. Every file is written whole or not at all.

use std::io::Write;
use std::path::{Path, PathBuf};

use miette::Diagnostic;
use tempfile::NamedTempFile;
use thiserror::Error;

/// What an interrupted or earlier run may have left, and a new one writes again.
const RESULTS: [&str; 4] = ["metrics.jsonl", "masks.safetensors", "subnets", "summary.json"];

/// The folder `<out>/<experiment>/<trial>`.
#[derive(Clone, Debug)]
pub struct RunFolder {
    path: PathBuf,
}

/// A folder that cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum FolderError {
    /// Something cannot be written or read.
    #[error("cannot {action} `{}`: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Another experiment's results are there.
    #[error("`{}` holds the results of another experiment of this name", .0.display())]
    #[diagnostic(help(
        "its `experiment.ron` differs from this one; give another folder with `--out`, another name with `--set \
         'name=\"...\"'`, or delete the folder"
    ))]
    OtherExperiment(PathBuf),
}

impl RunFolder {
    /// Makes the folder, writes `experiment.ron` into it, and removes what an earlier run of the very same experiment left.
    ///
    /// # Errors
    ///
    /// When the folder cannot be written, or another experiment's results are in it.
    pub fn begin(out: &Path, name: &str, trial: &str, experiment: &str) -> Result<Self, FolderError> {
        let folder = Self { path: out.join(name).join(trial) };
        let file = folder.path.join("experiment.ron");
        match std::fs::read_to_string(&file) {
            Ok(earlier) if earlier != experiment => {
                return Err(FolderError::OtherExperiment(folder.path));
            }
            Ok(_) => folder.remove_results()?,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(FolderError::Io { action: "read", path: file, source }),
        }
        folder.write("experiment.ron", experiment.as_bytes())?;
        Ok(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    fn remove_results(&self) -> Result<(), FolderError> {
        for name in RESULTS {
            let path = self.path.join(name);
            let removed =
                if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            match removed {
                Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                    return Err(FolderError::Io { action: "remove", path, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Writes `bytes` to the file `name` (which may lie in a folder below): beside it, synced, then renamed.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write(&self, name: &str, bytes: &[u8]) -> Result<(), FolderError> {
        let path = self.path.join(name);
        let folder = path.parent().unwrap_or(&self.path);
        let io = |action, path: &Path| {
            let path = path.to_owned();
            move |source| FolderError::Io { action, path, source }
        };
        std::fs::create_dir_all(folder).map_err(io("make", folder))?;
        let mut beside = NamedTempFile::new_in(folder).map_err(io("write into", folder))?;
        beside.write_all(bytes).map_err(io("write", &path))?;
        beside.as_file().sync_all().map_err(io("write", &path))?;
        beside.persist(&path).map_err(|error| io("write", &path)(error.error))?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_experiment_begins_anew_and_another_is_refused() {
        let out = tempfile::tempdir().unwrap();
        let folder = RunFolder::begin(out.path(), "a", "seed=1", "one").unwrap();
        folder.write("subnets/x/plan.ron", b"x").unwrap();
        folder.write("summary.json", b"{}").unwrap();
        std::fs::write(folder.path().join("notes.txt"), "mine").unwrap();

        RunFolder::begin(out.path(), "a", "seed=1", "two").unwrap_err();
        assert!(folder.path().join("summary.json").exists());

        RunFolder::begin(out.path(), "a", "seed=1", "one").unwrap();
        assert!(!folder.path().join("summary.json").exists());
        assert!(!folder.path().join("subnets").exists());
        assert!(folder.path().join("notes.txt").exists());
    }
}
