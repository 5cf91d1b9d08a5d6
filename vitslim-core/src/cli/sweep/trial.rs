//! A trial of a sweep and its folder.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::SweepError;
use crate::experiment::Document;
use crate::report::{PlannedTrial, Summary};
use crate::run::{FolderError, RunFolder, SHARED, check, is_complete, summary};
use crate::whole_file::remove;

/// A trial to run.
pub(super) struct Trial {
    pub(super) document: Document,
    pub(super) name: String,
    pub(super) folder: PathBuf,
    plan: PlannedTrial,
    /// Its results, once it was found complete: what is complete stays so while the sweep runs.
    summary: OnceLock<Summary>,
}

impl Trial {
    pub(super) fn new(sweep: &Path, document: Document, plan: &PlannedTrial) -> Self {
        let name = plan.trial.clone();
        Self { folder: sweep.join(&name), document, name, plan: plan.clone(), summary: OnceLock::new() }
    }

    /// Whether it is complete: with this very experiment on these data, not another of the same name.
    pub(super) fn is_complete(&self) -> bool {
        self.summary().is_some()
    }

    /// Its results, if it is complete.
    pub(super) fn summary(&self) -> Option<&Summary> {
        if self.summary.get().is_none()
            // Most trials of a large sweep have none yet, and are not looked at any further.
            && let Some(summary) = summary(&self.folder)
            && is_complete(&self.folder, &self.plan)
        {
            return Some(self.summary.get_or_init(|| summary));
        }
        self.summary.get()
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_found_complete_is_not_looked_at_again() {
        let sweep = tempfile::tempdir().unwrap();
        let split = r#"{"images":1,"sha256":"x"}"#;
        let plan = PlannedTrial {
            trial: "seed=1".to_owned(),
            start: None,
            params: 0,
            macs: 0,
            subnets: Vec::new(),
            without_search: None,
            scaled_rates: Vec::new(),
            memory: None,
            stages: Vec::new(),
            resolved: "the experiment".to_owned(),
            data: format!(r#"{{"classes":["a"],"train":{split},"held_out":{split},"test":{split}}}"#),
        };
        let document = || Document::parse("a.ron", "Experiment()", &[]).unwrap();
        let trial = Trial::new(sweep.path(), document(), &plan);
        let write = |name: &str, text: &str| std::fs::write(trial.folder.join(name), text).unwrap();
        std::fs::create_dir(&trial.folder).unwrap();
        write("experiment.ron", "the experiment");
        write("masks.safetensors", "masks");
        assert!(!trial.is_complete());
        write(
            "summary.json",
            r#"{"name":"a","trial":"seed=1","device":"cpu","seconds":{},"dense":{"params":1,"macs":1,"top1":0.5},
                "search":{"epochs":1,"top1_soft":0.5},"subnets":[]}"#,
        );
        assert!(trial.is_complete());
        std::fs::remove_dir_all(&trial.folder).unwrap();
        assert_eq!(trial.summary().unwrap().dense.top1, 0.5);
        assert!(!Trial::new(sweep.path(), document(), &plan).is_complete());
    }
}
