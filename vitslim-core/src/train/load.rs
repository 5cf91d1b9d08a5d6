//! The network of a checkpoint, outside training.

use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::ModuleRecord;
use burn::train::checkpoint::Checkpointer;
use thiserror::Error;

use super::checkpoint::Checkpoints;
use super::step::Trainee;
use super::watch::Watch;
use crate::models::Architecture;
use crate::slim::Slim;

/// A network as a checkpoint has it.
#[derive(Debug)]
pub struct Loaded<M: Module> {
    /// Model and masks.
    pub slim: Slim<M>,
    /// The epoch after which it was saved.
    pub epoch: usize,
    /// Later epochs, whose checkpoints are damaged.
    pub damaged: Vec<usize>,
}

/// Checkpoints of which none can be loaded.
#[derive(Debug, Error)]
pub enum CheckpointError {
    /// There is none.
    #[error("there is no checkpoint in `{}`: this stage has not finished an epoch yet", .0.display())]
    None(PathBuf),
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

/// `slim` with the parameters of the last good checkpoint in `folder`, which stays as it is.
///
/// # Errors
///
/// When there is no good checkpoint, or it is that of another network.
pub fn load_checkpoint<M: Architecture>(slim: Slim<M>, folder: &Path) -> Result<Loaded<M>, CheckpointError> {
    let checkpoints = Checkpoints::new(folder.to_owned());
    let (good, damaged) = checkpoints.last_good(usize::MAX);
    let Some(epoch) = good else {
        return Err(match damaged.is_empty() {
            true => CheckpointError::None(folder.to_owned()),
            false => CheckpointError::Damaged(folder.to_owned()),
        });
    };
    let unfit = |reason: String| CheckpointError::Unfit {
        folder: folder.to_owned(),
        epoch,
        reason: one_line(&reason),
    };
    let [model, _, _] = checkpoints.savers();
    let record: ModuleRecord = model.restore(epoch).map_err(|error| unfit(error.to_string()))?;
    let trainee = Trainee::new(slim, 0.0, Watch::default());
    let trainee = trainee.try_load_record(record).map_err(|error| unfit(error.to_string()))?;
    Ok(Loaded { slim: trainee.slim, epoch, damaged })
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
