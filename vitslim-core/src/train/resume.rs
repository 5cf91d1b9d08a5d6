//! How a stage goes on: from its record and its checkpoints, whoever left them.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use thiserror::Error;

use super::TrainError;
use super::checkpoint::{Checkpoints, UnfitCheckpoint};
use super::early_stopping::{Chosen, HeldOut, best_epoch, is_complete};
use super::record::{RECORD, StageRecord};
use super::stage::StageRun;
use crate::data::Stage;
use crate::experiment::Training;
use crate::models::Architecture;
use crate::slim::Slim;
use crate::terminal::say;
use crate::whole_file::remove;

/// Where the checkpoints of a stage are, in the run's folder.
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
    /// Those of a stage that is trained by `training`, in the folder `run` of its run.
    pub(super) fn of_run(run: &Path, stage: Stage, subnet: Option<&str>, training: &Training) -> Self {
        Self {
            record: StageRecord::new(run.join(RECORD), stage, subnet),
            checkpoints: Checkpoints::new(run.join(checkpoint_folder(stage, subnet)), training.ema.is_some()),
        }
    }

    /// Those of a shared stage, which has `folder` for itself.
    pub(super) fn of_shared(folder: &Path, stage: Stage, training: &Training) -> Self {
        Self {
            record: StageRecord::new(folder.join(RECORD), stage, None),
            checkpoints: Checkpoints::new(folder.to_owned(), training.ema.is_some()),
        }
    }

    /// Whether the stage is complete, and the checkpoints are good that go on.
    pub(super) fn is_whole(&self, training: &Training) -> bool {
        let Ok(epochs) = self.record.epochs() else { return false };
        let chosen = Chosen::of(&epochs, training).filter(|_| is_complete(&epochs, training));
        chosen.is_some_and(|chosen| {
            self.checkpoints.is_good(chosen.epoch) && self.checkpoints.is_good(epochs.len())
        })
    }
}

/// How far a stage has come.
pub(super) struct Progress {
    /// Held-out top-1 of each epoch that is done.
    pub(super) epochs: Vec<HeldOut>,
    /// Whether nothing is left to train.
    pub(super) complete: bool,
}

/// Goes back to the last epoch that can be gone on from, and removes all that came after it.
///
/// # Errors
///
/// When the record cannot be read, or what came after not be removed.
pub(super) fn resume(run: &StageRun, files: &StageFiles) -> Result<Progress, TrainError> {
    let StageFiles { record, checkpoints } = files;
    let title = run.title();
    let mut epochs = record.epochs().map_err(|error| record.error(error))?;
    loop {
        let (good, damaged) = checkpoints.last_good(epochs.len());
        let instead = if good.is_some() { "going on from the one before" } else { "the stage starts again" };
        for epoch in damaged {
            let flaw = checkpoints.flaw(epoch);
            say(format_args!("{title}: the checkpoint of epoch {epoch} is {flaw}; {instead}"));
        }
        epochs.truncate(good.unwrap_or(0));
        match best_epoch(&epochs, run.training) {
            Some(best) if !checkpoints.is_good(best) => {
                let flaw = checkpoints.flaw(best);
                say(format_args!(
                    "{title}: the checkpoint of the best epoch, {best}, is {flaw}; training it again"
                ));
                epochs.truncate(best - 1);
            }
            _ => break,
        }
    }
    checkpoints.prune(epochs.len(), &epochs, run.training);
    let complete = is_complete(&epochs, run.training);
    if !complete {
        for path in &run.dependents {
            remove(path).map_err(|source| TrainError::File { path: path.clone(), source })?;
        }
        record.cut_back(epochs.len()).map_err(|error| record.error(error))?;
    }
    Ok(Progress { epochs, complete })
}

/// Whether the folder `run` has all of a stage that was trained by `training`: its record, and the checkpoints that go on.
pub(crate) fn is_whole(run: &Path, stage: Stage, subnet: Option<&str>, training: &Training) -> bool {
    StageFiles::of_run(run, stage, subnet, training).is_whole(training)
}

/// Whether the folder `run` has any checkpoint of a stage.
pub(crate) fn has_checkpoint(run: &Path, stage: Stage, subnet: Option<&str>) -> bool {
    !Checkpoints::new(run.join(checkpoint_folder(stage, subnet)), false).epochs().is_empty()
}

/// The dense network as a checkpoint has it.
#[derive(Debug)]
pub struct Loaded<M> {
    /// In validation mode.
    pub model: M,
    /// The epoch whose weights it has.
    pub epoch: usize,
    /// Whether pretraining has come to its end.
    pub complete: bool,
    /// Later epochs, whose checkpoints are damaged.
    pub damaged: Vec<usize>,
}

/// Checkpoints of which none can be loaded.
#[derive(Debug, Error, Diagnostic)]
pub enum CheckpointError {
    /// There is none.
    #[error("there is no checkpoint in `{}`: this stage has not finished an epoch yet", .0.display())]
    None(PathBuf),
    /// The record of the run cannot be read.
    #[error("cannot read `metrics.jsonl` of the run: {0}")]
    Record(#[source] std::io::Error),
    /// None has a right checksum.
    #[error("no checkpoint in `{}` is good: files are missing or their checksums are wrong", .0.display())]
    Damaged(PathBuf),
    /// It is that of another network, or was damaged just now.
    #[error(transparent)]
    Unfit(#[from] UnfitCheckpoint),
}

/// `model`, in validation mode, as `training`, the pretraining of the run in the folder `run`, leaves it, or has left it so far.
/// The run stays as it is.
///
/// # Errors
///
/// When there is no good checkpoint, or it is that of another network.
pub fn load_pretrained<M: Architecture>(
    model: M,
    training: &Training,
    run: &Path,
) -> Result<Loaded<M>, CheckpointError> {
    let StageFiles { record, checkpoints } = StageFiles::of_run(run, Stage::Pretrain, None, training);
    let mut epochs = record.epochs().map_err(CheckpointError::Record)?;
    let (good, damaged) = checkpoints.last_good(epochs.len());
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
