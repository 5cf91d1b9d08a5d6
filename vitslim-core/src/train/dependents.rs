//! What was made from the weights that a stage ended with.

use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::TrainError;
use super::stage::StageRun;
use crate::terminal::counted;
use crate::whole_file::remove_all;

/// File with a sub-network's results, which is written last.
pub(crate) const RESULT: &str = "result.json";

/// Checks that nothing would be lost if the stage trained again because `file` is flawed: neither what took time to make from its
/// weights, nor `unrecorded` checkpoints of its own.
///
/// # Errors
///
/// [`TrainError::Lost`] if something would. Nothing is removed.
pub(super) fn check_none_lost(
    run: &StageRun,
    (file, flaw): (PathBuf, &'static str),
    unrecorded: usize,
) -> Result<(), TrainError> {
    let entries = run.dependents.iter().flat_map(WalkDir::new).flatten();
    let files: Vec<PathBuf> = entries.map(|entry| entry.into_path()).filter(|path| path.is_file()).collect();
    let count = |is_one: fn(&Path) -> bool| files.iter().filter(|path| is_one(path)).count();
    let checkpoints = unrecorded + count(|path| path.extension().is_some_and(|end| end == "ckpt"));
    let results = count(|path| path.ends_with(RESULT));
    let lost = [
        (checkpoints, counted(checkpoints, "checkpoint", "checkpoints")),
        (results, counted(results, "finished sub-network", "finished sub-networks")),
    ];
    let lost: Vec<String> = lost.into_iter().filter(|(count, _)| *count > 0).map(|(_, told)| told).collect();
    if lost.is_empty() {
        return Ok(());
    }
    let lost = lost.join(" and ");
    Err(TrainError::Lost { stage: run.stage.name(), file, flaw, lost })
}

/// Removes what was made from the weights of the stage.
///
/// # Errors
///
/// When something cannot be removed.
pub(super) fn forget_dependents(run: &StageRun) -> Result<(), TrainError> {
    remove_all(&run.dependents).map_err(|source| TrainError::File { path: run.folder.to_owned(), source })
}
