//! The network of a checkpoint, outside training.

use std::path::{Path, PathBuf};

use burn::module::Module;
use thiserror::Error;

use super::checkpoint::Checkpoints;
use super::ending::{Chosen, is_complete};
use super::record::{RECORD, StageRecord};
use super::stage::checkpoint_folder;
use super::step::{StepSettings, Trainee};
use super::watch::Watch;
use crate::data::Stage;
use crate::experiment::Training;
use crate::models::Architecture;
use crate::nn::Precision;
use crate::slim::Slim;
use crate::terminal::one_line;

/// A network as a checkpoint has it.
#[derive(Debug)]
pub struct Loaded<M: Module> {
    /// The network.
    pub model: M,
    /// The epoch whose weights it has.
    pub epoch: usize,
    /// Whether pretraining has come to its end.
    pub complete: bool,
    /// Later epochs, whose checkpoints are damaged.
    pub damaged: Vec<usize>,
}

/// Checkpoints of which none can be loaded.
#[derive(Debug, Error)]
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
    #[error("the checkpoint of epoch {epoch} in `{}` does not fit the experiment: {reason}", .folder.display())]
    Unfit {
        /// The checkpoints.
        folder: PathBuf,
        /// Which one.
        epoch: usize,
        /// What does not fit.
        reason: String,
    },
}

/// `model` as `training`, the pretraining of the run in the folder `run`, leaves it, or has left it so far. The run stays as
/// it is.
///
/// # Errors
///
/// When there is no good checkpoint, or it is that of another network.
pub fn load_pretrained<M: Architecture>(
    model: M,
    training: &Training,
    run: &Path,
) -> Result<Loaded<M>, CheckpointError> {
    let folder = run.join(checkpoint_folder(Stage::Pretrain, None));
    let checkpoints = Checkpoints::new(folder.clone(), training.ema.is_some());
    let record = StageRecord::new(run.join(RECORD), Stage::Pretrain, None);
    let mut epochs = record.epochs().map_err(CheckpointError::Record)?;
    let (good, damaged) = checkpoints.last_good(epochs.len());
    epochs.truncate(good.unwrap_or(0));
    let Some(chosen) = Chosen::of(&epochs, training) else {
        return Err(match damaged.is_empty() {
            true => CheckpointError::None(folder),
            false => CheckpointError::Damaged(folder),
        });
    };
    let epoch = chosen.epoch;
    let unfit =
        |reason: String| CheckpointError::Unfit { folder: folder.clone(), epoch, reason: one_line(&reason) };
    let record = checkpoints.load(chosen).map_err(|error| unfit(error.to_string()))?;
    // It takes no step.
    let settings = StepSettings::new(training, Precision::default());
    let trainee = Trainee::new(Slim::dense(model), settings, Watch::default());
    let trainee = trainee.try_load_record(record).map_err(|error| unfit(error.to_string()))?;
    Ok(Loaded { model: trainee.slim.model, epoch, complete: is_complete(&epochs, training), damaged })
}
