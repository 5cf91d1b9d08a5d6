//! What can go wrong in a stage.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::checkpoint::UnfitCheckpoint;
use crate::whole_file::remedy;

/// A stage that did not end well.
#[derive(Debug, Error, Diagnostic)]
pub enum TrainError {
    /// A learning rate or parameter group that burn refuses.
    #[error("the learning rates cannot be set up: {0}")]
    LearningRate(String),
    /// A file of the run cannot be read or written.
    #[error("cannot use `{}`", .path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The loss is no number any more.
    #[error(
        "{stage} diverged: the loss is {loss} at step {step} of epoch {epoch}, with a learning rate of {learning_rate:e}{gradient}"
    )]
    #[diagnostic(help(
        "try a lower learning rate, a longer warm-up or a smaller weight of the penalty; the last checkpoint before it \
         is still in the run's folder"
    ))]
    NotFinite {
        /// Name of the stage.
        stage: &'static str,
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the epoch, from 1.
        step: usize,
        /// Learning rate of that step.
        learning_rate: f64,
        /// Which gradient is the largest.
        gradient: String,
    },
    /// It was asked to stop.
    #[error("{stage} was stopped in epoch {epoch}; give the same command to go on from there")]
    Interrupted {
        /// Name of the stage.
        stage: &'static str,
        /// The epoch that is begun again.
        epoch: usize,
    },
    /// A checkpoint cannot be written.
    #[error("{stage} was stopped: its checkpoint cannot be written to `{}`", .path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    Unsaved {
        /// Name of the stage.
        stage: &'static str,
        /// The folder of its checkpoints.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A checkpoint does not fit.
    #[error(transparent)]
    #[diagnostic(help("if the architecture was changed since, start again with `--fresh`"))]
    Unfit(#[from] UnfitCheckpoint),
    /// The memory of the device is not enough.
    #[error("{stage} ran out of memory on the device, {work}")]
    #[diagnostic(help("{remedy}"))]
    OutOfMemory {
        /// Name of the stage.
        stage: &'static str,
        /// At what, and how many images at once.
        work: String,
        /// What to do.
        remedy: String,
    },
    /// A device failed.
    #[error("{stage} was stopped: {device} failed: {reason}")]
    #[diagnostic(help(
        "the last checkpoint before it is in the run's folder; give the same command to go on from there, with other devices by \
         `--device` if this one is broken or has too little memory"
    ))]
    Device {
        /// Name of the stage.
        stage: &'static str,
        /// Which.
        device: String,
        /// What it says.
        reason: String,
    },
    /// The training failed.
    #[error("{stage} failed: {reason}")]
    Failed {
        /// Name of the stage.
        stage: &'static str,
        /// Why.
        reason: String,
    },
}
