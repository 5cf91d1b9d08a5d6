//! Errors of a sweep.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

/// A sweep that is not complete.
#[derive(Debug, Error, Diagnostic)]
pub(in crate::cli) enum SweepError {
    /// Trials failed.
    #[error("{failed} of {trials} trials failed")]
    #[diagnostic(help(
        "the output of each trial is in `log.txt` in its folder; the same command, without `--fresh`, retries only the trials that \
         failed"
    ))]
    Failed {
        /// Number of trials that failed.
        failed: usize,
        /// Number of all trials.
        trials: usize,
    },
    /// Ctrl-C stopped the sweep.
    #[error(
        "stopped: {complete} of {trials} trials are complete; the same command, without `--fresh`, resumes"
    )]
    Interrupted {
        /// Number of complete trials.
        complete: usize,
        /// Number of all trials.
        trials: usize,
    },
    /// Another process works on trials of the sweep.
    #[error("another process has taken over {taken_over} of {trials} trials")]
    #[diagnostic(help(
        "locks have no effect on the file system of their folders: run one process at a time on a sweep there; when the other has \
         ended, the same command, without `--fresh`, completes what is left"
    ))]
    TakenOver {
        /// Number of trials that another process has taken over.
        taken_over: usize,
        /// Number of all trials.
        trials: usize,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", .path.display())]
    File {
        /// The file that could not be written.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
}
