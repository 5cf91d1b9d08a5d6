//! A trial of a sweep and its folder.

use std::path::{Path, PathBuf};

use super::error::SweepError;
use crate::experiment::Document;
use crate::report::PlannedTrial;
use crate::run::{FolderError, RunFolder, SHARED, summary};
use crate::whole_file::remove;

/// A trial to run.
pub(super) struct Trial {
    pub(super) document: Document,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    /// Its file as it is in its folder, with every default spelled out.
    resolved: String,
}

impl Trial {
    pub(super) fn new(sweep: &Path, document: Document, plan: &PlannedTrial) -> Self {
        let name = plan.trial.clone();
        Self { folder: sweep.join(&name), document, name, resolved: plan.resolved.clone() }
    }

    /// Whether it is complete: with this very experiment, not another of the same name.
    pub(super) fn is_complete(&self) -> bool {
        let there = std::fs::read_to_string(self.folder.join("experiment.ron"));
        there.is_ok_and(|there| there == self.resolved) && summary(&self.folder).is_some()
    }
}

/// Prepares the folder `sweep` so that `trials` can run there, from the beginning if `afresh`.
///
/// # Errors
///
/// When a trial's folder has the results of another experiment, or `afresh` is set and another process is working on one.
pub(super) fn prepare(sweep: &Path, trials: &[Trial], afresh: bool) -> miette::Result<()> {
    trials.iter().try_for_each(|trial| RunFolder::check(&trial.folder, &trial.resolved))?;
    if afresh {
        let folders: Vec<PathBuf> = trials.iter().map(|trial| trial.folder.clone()).collect();
        let shared = sweep.join(SHARED);
        let clear = || {
            let action = "remove";
            remove(&shared).map_err(|source| FolderError::Io { action, path: shared.clone(), source })
        };
        RunFolder::clear(&folders, clear)?;
    }
    std::fs::create_dir_all(sweep).map_err(|source| SweepError::File { path: sweep.to_owned(), source })?;
    Ok(())
}
