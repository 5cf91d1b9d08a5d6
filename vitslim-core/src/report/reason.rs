use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

/// Why an experiment is not fit to be run, in words.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic, Serialize)]
#[error("{message}")]
pub struct Reason {
    /// What is wrong, and where: dimension and layer.
    pub message: String,
    /// What is likely missing, or what to do.
    #[help]
    pub help: Option<String>,
}

impl Reason {
    /// A reason that `message` tells.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
