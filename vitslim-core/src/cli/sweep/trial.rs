//! A trial of a sweep and its folder.

use std::path::{Path, PathBuf};

use super::error::SweepError;
use crate::experiment::Document;
use crate::report::PlannedTrial;
use crate::run::{FolderError, RunFolder, SHARED, check, is_complete};
use crate::whole_file::remove;

/// A trial to run.
pub(super) struct Trial {
    pub(super) document: Document,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    plan: PlannedTrial,
}

impl Trial {
    pub(super) fn new(sweep: &Path, document: Document, plan: &PlannedTrial) -> Self {
        let name = plan.trial.clone();
        Self { folder: sweep.join(&name), document, name, plan: plan.clone() }
    }

    /// Whether it is complete: with this very experiment on these data, not another of the same name.
    pub(super) fn is_complete(&self) -> bool {
        is_complete(&self.folder, &self.plan)
    }
}

/// Prepares the folder `sweep` so that `trials` can run there; if `afresh`, whatever was there is discarded.
///
/// # Errors
///
/// When a trial's folder has the results of another experiment or of other data, or `afresh` is set and another process is working
/// on one.
pub(super) fn prepare(sweep: &Path, trials: &[Trial], afresh: bool) -> miette::Result<()> {
    if afresh {
        let folders: Vec<PathBuf> = trials.iter().map(|trial| trial.folder.clone()).collect();
        let shared = sweep.join(SHARED);
        let clear = || {
            let action = "remove";
            remove(&shared).map_err(|source| FolderError::Io { action, path: shared.clone(), source })
        };
        RunFolder::clear(&folders, clear)?;
    } else {
        trials.iter().try_for_each(|trial| check(&trial.folder, &trial.plan))?;
    }
    std::fs::create_dir_all(sweep).map_err(|source| SweepError::File { path: sweep.to_owned(), source })?;
    Ok(())
}
