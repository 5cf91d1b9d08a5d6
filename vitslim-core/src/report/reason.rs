use miette::Diagnostic;
use serde::Serialize;
use thiserror::Error;

/// Why an experiment cannot be run.
#[derive(Clone, Debug, PartialEq, Eq, Error, Diagnostic, Serialize)]
#[error("{message}")]
pub struct Reason {
    /// What is wrong, and where.
    pub message: String,
    /// What is probably missing, or what to do.
    #[help]
    pub help: Option<String>,
}

impl Reason {
    /// A reason without help.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), help: None }
    }

    /// The reason with what to do.
    #[must_use]
    pub fn with_help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}
