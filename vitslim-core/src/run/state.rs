//! The state of a run, read from its folder.

use std::path::{Path, PathBuf};

use super::data_record::DataRecord;
use super::folder::{
    FolderError, MASKS, NETWORK, NORMALISATION, PLAN, RESULT, RunFolder, SUBNETS, SUMMARY, WEIGHTS,
};
use super::lock::is_locked;
use crate::report::{RunState, Summary};
use crate::whole_file::{remove, write_whole};

/// File that says why a trial failed; its first line is a summary.
const FAILURE: &str = "failure.txt";

impl RunState {
    /// The state of the run in `folder`.
    pub fn of(folder: &Path) -> Self {
        if summary(folder).is_some() {
            Self::Complete
        } else if is_locked(folder) {
            Self::Running
        } else if folder.join(FAILURE).exists() {
            Self::Failed
        } else if folder.join(NORMALISATION).exists() || RunFolder::has_results(folder) {
            Self::Stopped
        } else {
            Self::Waiting
        }
    }
}

/// The summary of a complete run; `None` if the run is not complete, or no longer has every file that it speaks of.
pub fn summary(folder: &Path) -> Option<Summary> {
    written(folder).filter(|summary| missing_of(folder, summary).is_none())
}

/// The first file that a run which was complete no longer has.
pub(super) fn missing(folder: &Path) -> Option<PathBuf> {
    missing_of(folder, &written(folder)?)
}

/// The summary of a run that was complete, whatever it has left of the files that it speaks of.
pub(super) fn written(folder: &Path) -> Option<Summary> {
    serde_json::from_str(&std::fs::read_to_string(folder.join(SUMMARY)).ok()?).ok()
}

fn missing_of(folder: &Path, summary: &Summary) -> Option<PathBuf> {
    let subnets = summary.subnets.iter().flat_map(|subnet| files_of_subnet(folder, &subnet.label));
    let files = std::iter::once(PathBuf::from(MASKS)).chain(subnets);
    files.map(|file| folder.join(file)).find(|file| !is_there(file))
}

/// The files of the sub-network `label` of the run in `folder`, from there. Earlier versions described no networks.
fn files_of_subnet(folder: &Path, label: &str) -> Vec<PathBuf> {
    let described = (!DataRecord::is_of_earlier(folder)).then_some(NETWORK);
    let names = [PLAN, WEIGHTS, RESULT].into_iter().chain(described);
    names.map(|name| Path::new(SUBNETS).join(label).join(name)).collect()
}

/// Whether the run in `folder` has all files of its sub-network `label`.
pub(super) fn has_subnet(folder: &Path, label: &str) -> bool {
    files_of_subnet(folder, label).iter().all(|file| is_there(&folder.join(file)))
}

fn is_there(file: &Path) -> bool {
    file.metadata().is_ok_and(|found| found.is_file() && found.len() > 0)
}

/// Why the run in `folder` failed, in one sentence.
pub fn failure(folder: &Path) -> Option<String> {
    let text = std::fs::read_to_string(folder.join(FAILURE)).ok()?;
    text.lines().next().map(str::to_owned)
}

/// Records why the run in `folder` failed: `reason` in one sentence, and the whole `report`.
///
/// # Errors
///
/// When the file cannot be written.
pub fn record_failure(folder: &Path, reason: &str, report: &str) -> Result<(), FolderError> {
    let file = folder.join(FAILURE);
    write_whole(&file, format!("{reason}\n\n{report}\n").as_bytes())
        .map_err(super::folder::io("write", &file))
}

/// Removes the reason why the run in `folder` failed, before it is tried again.
///
/// # Errors
///
/// When the file cannot be removed.
pub fn forget_failure(folder: &Path) -> Result<(), FolderError> {
    let file = folder.join(FAILURE);
    remove(&file).map_err(super::folder::io("remove", &file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_tells_how_far_its_run_has_come() {
        let out = tempfile::tempdir().unwrap();
        let folder = out.path().join("a/seed=1");
        assert_eq!(RunState::of(&folder), RunState::Waiting);
        let run = RunFolder::open(out.path(), "a", "seed=1").unwrap();
        assert_eq!(RunState::of(&folder), RunState::Running);
        drop(run);
        assert_eq!(RunState::of(&folder), RunState::Waiting);
        // What a run writes before its first epoch.
        let run = RunFolder::open(out.path(), "a", "seed=1").unwrap();
        run.write(NORMALISATION, b"{}\n").unwrap();
        drop(run);
        assert_eq!(RunState::of(&folder), RunState::Stopped);
        record_failure(&folder, "it broke", "all of it\nis here").unwrap();
        assert_eq!(
            (RunState::of(&folder), failure(&folder).as_deref()),
            (RunState::Failed, Some("it broke"))
        );
        forget_failure(&folder).unwrap();
        assert_eq!((RunState::of(&folder), failure(&folder)), (RunState::Stopped, None));
        // Written by an earlier version, or by someone else.
        std::fs::write(folder.join(SUMMARY), "{}").unwrap();
        assert_eq!(RunState::of(&folder), RunState::Stopped);
    }
}
