//! Where a stage goes on after it was stopped.

use super::TrainError;
use super::checkpoint::Checkpoints;
use super::ending::{best_epoch, is_complete};
use super::record::StageRecord;
use super::stage::StageRun;
use crate::terminal::say;
use crate::whole_file::remove;

/// The epoch after which the stage goes on, and whether that is its end. All that came after it is removed.
///
/// # Errors
///
/// When the record of the run cannot be read, or what came after it not be removed.
pub(super) fn take_up(
    run: &StageRun,
    record: &StageRecord,
    checkpoints: &Checkpoints,
) -> Result<(Option<usize>, bool), TrainError> {
    let title = run.title();
    let mut epochs = record.epochs().map_err(|error| record.error(error))?;
    checkpoints.remove_unfinished();
    let (begun, best) = loop {
        let (begun, damaged) = checkpoints.last_good(epochs.len());
        let instead = if begun.is_some() { "the one before it is used" } else { "the stage begins anew" };
        for epoch in damaged {
            let flaw = checkpoints.flaw(epoch);
            say(format_args!("{title}: the checkpoint of epoch {epoch} is {flaw}; {instead}"));
        }
        epochs.truncate(begun.unwrap_or(0));
        match best_epoch(&epochs, run.training) {
            Some(best) if !checkpoints.is_good(best) => {
                let flaw = checkpoints.flaw(best);
                say(format_args!(
                    "{title}: the checkpoint of epoch {best}, the best, is {flaw}; it is trained again"
                ));
                epochs.truncate(best - 1);
            }
            best => break (begun, best),
        }
    };
    for epoch in checkpoints.spare(begun.unwrap_or(0), &Vec::from_iter(best)) {
        checkpoints.remove(epoch);
    }
    let complete = is_complete(&epochs, run.training);
    if !complete {
        for path in &run.dependents {
            remove(path).map_err(|source| TrainError::File { path: path.clone(), source })?;
        }
        record.cut_back(begun.unwrap_or(0)).map_err(|error| record.error(error))?;
    }
    Ok((begun, complete))
}
