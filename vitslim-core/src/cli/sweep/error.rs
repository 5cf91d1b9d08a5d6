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
        "the output of each trial is in `log.txt` in its folder; the same command retries only the trials that failed"
    ))]
    Failed {
        /// Number of trials that failed.
        failed: usize,
        /// Number of all trials.
        trials: usize,
    },
    /// Ctrl-C stopped the sweep.
    #[error("stopped: {complete} of {trials} trials are complete; give the same command to resume")]
    Interrupted {
        /// Number of complete trials.
        complete: usize,
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
