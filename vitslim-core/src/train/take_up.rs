//! Where a stage goes on after it was stopped.

use std::path::Path;

use super::TrainError;
use super::checkpoint::Checkpoints;
use super::ending::{Chosen, best_epoch, is_complete};
use super::record::{RECORD, StageRecord};
use super::stage::{StageRun, checkpoint_folder};
use crate::data::Stage;
use crate::experiment::Training;
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

/// Whether the folder `run` has all of a stage that was trained by `training`: its record, and the checkpoints that go on.
pub(crate) fn is_whole(run: &Path, stage: Stage, subnet: Option<&str>, training: &Training) -> bool {
    let checkpoints = Checkpoints::new(run.join(checkpoint_folder(stage, subnet)), training.ema.is_some());
    has_all(&StageRecord::new(run.join(RECORD), stage, subnet), &checkpoints, training)
}

/// Whether `record` is that of a whole stage, and `checkpoints` has those that go on.
pub(super) fn has_all(record: &StageRecord, checkpoints: &Checkpoints, training: &Training) -> bool {
    let Ok(epochs) = record.epochs() else { return false };
    let chosen = Chosen::of(&epochs, training).filter(|_| is_complete(&epochs, training));
    chosen.is_some_and(|chosen| checkpoints.is_good(chosen.epoch) && checkpoints.is_good(epochs.len()))
}

/// Whether the folder `run` has any checkpoint of a stage.
pub(crate) fn has_checkpoint(run: &Path, stage: Stage, subnet: Option<&str>) -> bool {
    let checkpoints = Checkpoints::new(run.join(checkpoint_folder(stage, subnet)), false);
    !checkpoints.epochs().is_empty()
}
