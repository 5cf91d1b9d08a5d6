//! What can go wrong in a stage.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::checkpoint::CheckpointMismatchError;
use crate::graph::GraphError;
use crate::terminal::three_digits;
use crate::whole_file::remedy;

/// A stage that stopped or failed.
#[derive(Debug, Error, Diagnostic)]
pub enum TrainError {
    /// burn refuses a learning rate or parameter group.
    #[error("the learning rates cannot be set up: {0}")]
    LearningRate(String),
    /// The forward pass, by which `layer_decay` orders the layers, cannot be recorded.
    #[error(transparent)]
    Graph(#[from] GraphError),
    /// A file of the run cannot be read or written.
    #[error("cannot use `{}`", .path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    File {
        /// The file or folder that could not be used.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The loss is not finite.
    #[error(
        "{stage} diverged: the loss is {loss} at step {step} of epoch {epoch}, with a learning rate of {rate:e}{gradient}",
        rate = three_digits(*learning_rate)
    )]
    #[diagnostic(help(
        "try a lower learning rate, a longer warm-up or a smaller penalty weight; the last checkpoint before it \
         is still in the run's folder"
    ))]
    NotFinite {
        /// Name of the stage.
        stage: &'static str,
        /// The loss that is not finite.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the epoch, from 1.
        step: usize,
        /// Learning rate of that step.
        learning_rate: f64,
        /// The parameter with the largest gradient, if it is known, as the end of the message.
        gradient: String,
    },
    /// The user interrupted the stage.
    #[error("{stage} was stopped in epoch {epoch}; give the same command to resume from there")]
    Interrupted {
        /// Name of the stage.
        stage: &'static str,
        /// The epoch that is repeated on resume, from 1.
        epoch: usize,
    },
    /// A checkpoint cannot be written.
    #[error("{stage} was stopped: its checkpoint cannot be written to `{}`", .path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    Unsaved {
        /// Name of the stage.
        stage: &'static str,
        /// The folder of the stage's checkpoints.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A checkpoint does not fit the network.
    #[error(transparent)]
    #[diagnostic(help("if you changed the architecture since, start again with `--fresh`"))]
    Unfit(#[from] CheckpointMismatchError),
    /// The device ran out of memory.
    #[error("{stage} ran out of memory on the device, {work}")]
    #[diagnostic(help("{remedy}"))]
    OutOfMemory {
        /// Name of the stage.
        stage: &'static str,
        /// The batch and how it is computed: `at a batch of 64 images computed in 2 parts`.
        work: String,
        /// What to do, as the help of the error.
        remedy: String,
    },
    /// A device failed.
    #[error("{stage} was stopped: {device} failed: {reason}")]
    #[diagnostic(help(
        "the run's folder has the last checkpoint before it; give the same command to resume from there, and choose other \
         devices with `--device` if this one is broken or has too little memory"
    ))]
    Device {
        /// Name of the stage.
        stage: &'static str,
        /// The device, as the user names it.
        device: String,
        /// The error of the device, on one line.
        reason: String,
    },
    /// Training failed for another reason.
    #[error("{stage} failed: {reason}")]
    Failed {
        /// Name of the stage.
        stage: &'static str,
        /// What failed, on one line.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_learning_rate_is_told_in_three_digits() {
        let told = |learning_rate| {
            let (stage, loss, epoch, step, gradient) = ("search", f64::NAN, 2, 3, String::new());
            TrainError::NotFinite { stage, loss, epoch, step, learning_rate, gradient }.to_string()
        };
        assert!(told(4.755_282_581_475_768e-4).ends_with("a learning rate of 4.76e-4"));
        assert!(told(1e9).ends_with("a learning rate of 1e9") && told(0.0).ends_with("of 0e0"));
    }
}
