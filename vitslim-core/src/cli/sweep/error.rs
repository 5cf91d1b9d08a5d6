//! How a sweep fails.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

/// A sweep that did not come to its end.
#[derive(Debug, Error, Diagnostic)]
pub(in crate::cli) enum SweepError {
    /// Trials failed.
    #[error("{failed} of {trials} trials failed")]
    #[diagnostic(help(
        "what a trial printed is in its folder, in `log.txt`; the same command tries again those that failed, and only those"
    ))]
    Failed {
        /// How many.
        failed: usize,
        /// Of how many.
        trials: usize,
    },
    /// It was stopped by Ctrl-C.
    #[error("stopped: {complete} of {trials} trials are complete; the same command goes on")]
    Interrupted {
        /// How many are complete.
        complete: usize,
        /// Of how many.
        trials: usize,
    },
    /// A file could not be written.
    #[error("cannot write `{}`", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
}
