//! What can go wrong in a stage.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::checkpoint::CheckpointMismatchError;
use crate::graph::GraphError;
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
    /// The loss, the logits or a parameter is not finite.
    #[error("{stage} diverged: {what}")]
    #[diagnostic(help("try a lower learning rate, a longer warm-up or a smaller penalty weight{saved}"))]
    Diverged {
        /// Name of the stage.
        stage: &'static str,
        /// What is not finite, and where.
        what: String,
        /// The last checkpoint before it, if there is one, as the end of the help.
        saved: String,
    },
    /// The user interrupted the stage.
    #[error("{stage} was stopped in epoch {epoch}; the same command, without `--fresh`, resumes from there")]
    Interrupted {
        /// Name of the stage.
        stage: &'static str,
        /// The epoch that is repeated on resume, from 1.
        epoch: usize,
    },
    /// Another process works in the run's folder.
    #[error("`{}` was taken over by {holder}, which started there after this process", .folder.display())]
    #[diagnostic(help(
        "locks have no effect on its file system: run one process at a time there, or give another folder with `--out`"
    ))]
    TakenOver {
        /// The folder of the run.
        folder: PathBuf,
        /// The process that started there.
        holder: String,
    },
    /// The stage has diverged before, where trials of a sweep share it.
    #[error("{what}")]
    #[diagnostic(help(
        "this stage failed in the same way before, with the same settings and data; delete `{}` to train it again",
        .file.display()
    ))]
    Remembered {
        /// The error of that time.
        what: String,
        /// The file that has it.
        file: PathBuf,
    },
    /// The stage would have to train again, and what was made from it would be lost.
    #[error("{stage} cannot resume: `{}` {flaw}, and to train the stage again would discard {lost}", .file.display())]
    #[diagnostic(help(
        "restore the file, or start again with `--fresh`; in a sweep, delete the folder of this trial to start only it again"
    ))]
    Lost {
        /// Name of the stage.
        stage: &'static str,
        /// The file that it cannot resume from.
        file: PathBuf,
        /// What is wrong with the file, as `is missing`.
        flaw: &'static str,
        /// What would be discarded.
        lost: String,
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
        "the run's folder has the last checkpoint before it; the same command, without `--fresh`, resumes from there; choose other \
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
        /// What to do, if the reason does not say so.
        #[help]
        help: Option<String>,
    },
}
