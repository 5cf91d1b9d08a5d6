//! Resumes a stage from its record and its checkpoints.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::TrainError;
use super::checkpoint::{CheckpointMismatchError, Checkpoints};
use super::dependents::{check_none_lost, forget_dependents};
use super::early_stopping::{Chosen, HeldOut, best_epoch, is_complete};
use super::finite::not_finite;
use super::record::{RECORD, StageRecord};
use super::stage::StageRun;
use crate::data::Stage;
use crate::experiment::Training;
use crate::models::Architecture;
use crate::slim::Slim;
use crate::terminal::say;
use crate::whole_file::sync_folder;

/// Path of the stage's checkpoints in the run's folder.
pub fn checkpoint_folder(stage: Stage, subnet: Option<&str>) -> PathBuf {
    let folder = Path::new("checkpoints").join(stage.name());
    subnet.map_or(folder.clone(), |subnet| folder.join(subnet))
}

/// Record and checkpoints of a stage.
#[derive(Clone, Debug)]
pub(super) struct StageFiles {
    pub(super) record: StageRecord,
    pub(super) checkpoints: Checkpoints,
}

impl StageFiles {
    /// The files of a stage that is trained by `training`, in the folder `run` of its run.
    pub(super) fn of_run(run: &Path, stage: Stage, subnet: Option<&str>, training: &Training) -> Self {
        Self {
            record: StageRecord::new(run.join(RECORD), stage, subnet),
            checkpoints: Checkpoints::new(run.join(checkpoint_folder(stage, subnet)), training.ema.is_some()),
        }
    }

    /// The files of a shared stage, which has `folder` for itself.
    pub(super) fn of_shared(folder: &Path, stage: Stage, training: &Training) -> Self {
        Self {
            record: StageRecord::new(folder.join(RECORD), stage, None),
            checkpoints: Checkpoints::new(folder.to_owned(), training.ema.is_some()),
        }
    }

    /// The weights that the stage ended with, which later stages need: those of a stage that is complete after `epochs`, if they
    /// are undamaged.
    pub(super) fn result(&self, epochs: &[HeldOut], training: &Training) -> Option<Chosen> {
        let chosen = Chosen::of(epochs, training).filter(|_| is_complete(epochs, training));
        chosen.filter(|chosen| self.checkpoints.has_weights(*chosen))
    }

    /// Whether the stage is complete, and what later stages need of it is there.
    pub(super) fn is_whole(&self, training: &Training) -> bool {
        self.record.epochs().is_ok_and(|epochs| self.result(&epochs, training).is_some())
    }

    /// The file without which the stage, after `epochs` by its record, does not have what later stages need, and what is wrong
    /// with it.
    pub(super) fn flawed(&self, epochs: &[HeldOut], training: &Training) -> (PathBuf, &'static str) {
        let Some(chosen) = Chosen::of(epochs, training).filter(|_| is_complete(epochs, training)) else {
            let record = self.record.path().to_owned();
            let flaw = if record.exists() { "lacks lines of this stage" } else { "is missing" };
            return (record, flaw);
        };
        let weights = self.checkpoints.weights(chosen);
        let flaw = match weights.exists() {
            _ if self.checkpoints.has_weights(chosen) => "is not finite",
            true => "is damaged",
            false => "is missing",
        };
        (weights, flaw)
    }

    /// The number of checkpoints, if the record must have had more than `recorded` epochs when they were saved.
    fn unrecorded(&self, recorded: usize) -> usize {
        let saved = self.checkpoints.epochs();
        // A process may be killed before it records the epoch that it has saved.
        if saved.last().is_some_and(|last| *last > recorded + 1) { saved.len() } else { 0 }
    }

    /// The files of the stage, if it is complete, that nothing needs any more.
    pub(super) fn spare(&self, training: &Training) -> Vec<PathBuf> {
        let epochs = self.record.epochs().unwrap_or_default();
        let result = self.result(&epochs, training);
        result.into_iter().flat_map(|result| self.checkpoints.spare(result)).collect()
    }
}

/// The progress of a stage.
pub(super) struct Progress {
    /// Top-1 on the validation split after each epoch that is done.
    pub(super) epochs: Vec<HeldOut>,
    /// Whether training is complete.
    pub(super) complete: bool,
}

/// Goes back to the last epoch that the stage can resume from, and removes everything after it. `slim` is the network that it
/// trains, in validation mode.
///
/// # Errors
///
/// When the record cannot be read, what came after cannot be removed or took time to make, or a checkpoint belongs to another
/// network.
pub(super) fn resume<M: Architecture>(
    slim: &Slim<M>,
    run: &StageRun,
    files: &StageFiles,
) -> Result<Progress, TrainError> {
    let StageFiles { record, checkpoints } = files;
    let title = run.title();
    let mut epochs = record.epochs().map_err(|error| record.error(error))?;
    // An earlier version saved what had diverged in the last step of an epoch.
    let is_finite = |chosen| {
        let saved = checkpoints.load(chosen, slim.clone())?;
        not_finite(&saved).map(|found| found.is_none()).map_err(|error| run.failed(error))
    };
    if let Some(result) = files.result(&epochs, run.training)
        && is_finite(result)?
    {
        return Ok(Progress { epochs, complete: true });
    }
    check_none_lost(run, files.flawed(&epochs, run.training), files.unrecorded(epochs.len()))?;
    let flaw = |epoch| -> Result<Option<&str>, TrainError> {
        if !checkpoints.is_good(epoch) {
            return Ok(Some(checkpoints.flaw(epoch)));
        }
        let is_finite = is_finite(Chosen { epoch, averaged: false })?
            && (run.training.ema.is_none() || is_finite(Chosen { epoch, averaged: true })?);
        Ok((!is_finite).then_some("not finite"))
    };
    loop {
        let mut flaws = Vec::new();
        let saved = checkpoints.epochs().into_iter().filter(|epoch| *epoch <= epochs.len());
        let mut last = 0;
        for epoch in saved.rev() {
            match flaw(epoch)? {
                Some(flaw) => flaws.push((epoch, flaw)),
                None => {
                    last = epoch;
                    break;
                }
            }
        }
        let instead = if last > 0 { "resuming from the one before" } else { "the stage starts again" };
        if last == 0 && flaws.is_empty() && !epochs.is_empty() {
            let lost = epochs.len();
            say(format_args!("{title}: there is no checkpoint of epoch {lost} or before; {instead}"));
        }
        for (epoch, flaw) in flaws {
            say(format_args!("{title}: the checkpoint of epoch {epoch} is {flaw}; {instead}"));
        }
        epochs.truncate(last);
        let Some(best) = best_epoch(&epochs, run.training).filter(|best| *best != last) else { break };
        let Some(flaw) = flaw(best)? else { break };
        say(format_args!("{title}: the checkpoint of the best epoch, {best}, is {flaw}; training it again"));
        epochs.truncate(best - 1);
    }
    checkpoints.prune(epochs.len(), &epochs, run.training, run.keep);
    let complete = is_complete(&epochs, run.training);
    if !complete {
        forget_dependents(run)?;
        // Checkpoints that a power cut brings back would have no record.
        sync_folder(checkpoints.folder()).map_err(|error| record.error(error))?;
        record.cut_back(epochs.len()).map_err(|error| record.error(error))?;
    }
    Ok(Progress { epochs, complete })
}

/// Whether the folder `run` has a complete stage that was trained by `training`: its record, and the weights that it ended with.
pub(crate) fn is_whole(run: &Path, stage: Stage, subnet: Option<&str>, training: &Training) -> bool {
    StageFiles::of_run(run, stage, subnet, training).is_whole(training)
}

/// What a stage that was trained by `training` lacks in the folder `run` of what later stages need: the file, and what is wrong with it.
/// `None` if the stage [is whole](is_whole).
pub(crate) fn flaw(run: &Path, stage: Stage, training: &Training) -> Option<(PathBuf, &'static str)> {
    let files = StageFiles::of_run(run, stage, None, training);
    match files.record.epochs() {
        Err(_) => Some((files.record.path().to_owned(), "cannot be read")),
        Ok(epochs) if files.result(&epochs, training).is_some() => None,
        Ok(epochs) => Some(files.flawed(&epochs, training)),
    }
}

/// The files of a stage in the folder `run` that nothing needs any more: if it is complete, all but the weights that it ended with.
pub(crate) fn spare(run: &Path, stage: Stage, subnet: Option<&str>, training: &Training) -> Vec<PathBuf> {
    StageFiles::of_run(run, stage, subnet, training).spare(training)
}

/// Those of a stage that trials of a sweep share, which has `folder` for itself.
pub(crate) fn spare_of_shared(folder: &Path, stage: Stage, training: &Training) -> Vec<PathBuf> {
    StageFiles::of_shared(folder, stage, training).spare(training)
}

/// Whether the run in the folder `run` has gone on after a stage, with the weights that it ended with.
pub(crate) fn is_followed(run: &Path, stage: Stage, subnet: Option<&str>) -> bool {
    StageRecord::new(run.join(RECORD), stage, subnet).is_followed().unwrap_or(false)
}

/// Whether the folder `run` has any checkpoint of a stage.
pub(crate) fn has_checkpoint(run: &Path, stage: Stage, subnet: Option<&str>) -> bool {
    !Checkpoints::new(run.join(checkpoint_folder(stage, subnet)), false).epochs().is_empty()
}

/// Seconds that a stage of the run in the folder `run` took, as its record says.
///
/// # Errors
///
/// When the record cannot be read.
pub(crate) fn recorded_seconds(run: &Path, stage: Stage, subnet: Option<&str>) -> Result<f64, TrainError> {
    let record = StageRecord::new(run.join(RECORD), stage, subnet);
    record.seconds().map_err(|error| record.error(error))
}

/// `slim` with the weights that a complete stage of the run in the folder `run` ended with, trained by `training`, and the number of its
/// epochs. Changes nothing in the run.
///
/// # Errors
///
/// When the stage is not complete, or its checkpoint is damaged or belongs to another network.
pub(crate) fn load_result<M: Architecture>(
    slim: Slim<M>,
    stage: Stage,
    training: &Training,
    run: &Path,
) -> Result<(Slim<M>, usize), CheckpointError> {
    let files = StageFiles::of_run(run, stage, None, training);
    let epochs = files.record.epochs().map_err(CheckpointError::Record)?;
    let damaged = || CheckpointError::Damaged(files.checkpoints.folder().to_owned());
    let result = files.result(&epochs, training).ok_or_else(damaged)?;
    Ok((files.checkpoints.load(result, slim)?, epochs.len()))
}

/// The dense network, loaded from a checkpoint.
#[derive(Debug)]
pub struct Loaded<M> {
    /// The network, in validation mode.
    pub model: M,
    /// The epoch that its weights come from.
    pub epoch: usize,
    /// Whether pretraining is complete.
    pub complete: bool,
    /// Later epochs whose checkpoints are damaged.
    pub damaged: Vec<usize>,
}

/// No checkpoint can be loaded.
#[derive(Debug, Error, Diagnostic)]
pub enum CheckpointError {
    /// The folder has no checkpoint.
    #[error("there is no checkpoint in `{}`: this stage has not finished an epoch yet", .0.display())]
    None(PathBuf),
    /// The record of the run cannot be read.
    #[error("cannot read `metrics.jsonl` of the run: {0}")]
    Record(#[source] std::io::Error),
    /// Every checkpoint is incomplete or damaged.
    #[error("no checkpoint in `{}` is good: files are missing or their checksums are wrong", .0.display())]
    Damaged(PathBuf),
    /// The checkpoint belongs to another network, or was damaged while it was read.
    #[error(transparent)]
    Unfit(#[from] CheckpointMismatchError),
}

/// `model`, in validation mode, with the weights of the pretraining of the run in the folder `run`, complete or not. `training`
/// has its settings. Changes nothing in the run.
///
/// # Errors
///
/// When there is no good checkpoint, or it belongs to another network.
pub fn load_pretrained<M: Architecture>(
    model: M,
    training: &Training,
    run: &Path,
) -> Result<Loaded<M>, CheckpointError> {
    let files = StageFiles::of_run(run, Stage::Pretrain, None, training);
    let StageFiles { record, checkpoints } = &files;
    let mut epochs = record.epochs().map_err(CheckpointError::Record)?;
    let (good, damaged) = match files.result(&epochs, training) {
        Some(_) => (Some(epochs.len()), Vec::new()),
        None => checkpoints.last_good(epochs.len()),
    };
    epochs.truncate(good.unwrap_or(0));
    let Some(chosen) = Chosen::of(&epochs, training) else {
        let folder = checkpoints.folder().to_owned();
        return Err(match damaged.is_empty() {
            true => CheckpointError::None(folder),
            false => CheckpointError::Damaged(folder),
        });
    };
    let slim = checkpoints.load(chosen, Slim::dense(model))?;
    Ok(Loaded { model: slim.model, epoch: chosen.epoch, complete: is_complete(&epochs, training), damaged })
}
