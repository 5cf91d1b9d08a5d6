use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

/// A file of weights that cannot be used.
#[derive(Clone, Debug, Error, Diagnostic, PartialEq, Eq)]
#[error("`{}` {wrong}", .path.display())]
pub struct WeightsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it, to follow its name.
    pub wrong: String,
    /// What to do.
    #[help]
    pub help: Option<String>,
}
