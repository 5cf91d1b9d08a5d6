use miette::Diagnostic;
use thiserror::Error;

use crate::train::EvaluateError;

/// Units that cannot be scored.
#[derive(Debug, Error, Diagnostic)]
pub enum ImportanceError {
    /// No layer tells what it reads of a dimension.
    #[error("`Variance` cannot rank the units of `{0}`: no layer tells what it reads of them")]
    #[diagnostic(help(
        "those of `vitslim_core::nn` do, where the dimension is their `input`, and so does a `TokenGate` in `scale` and `scale_norm`; \
         `importance: Taylor` ranks any dimension"
    ))]
    Unread(String),
    /// A layer panics.
    #[error("the network fails where its units are scored ({0})")]
    #[diagnostic(help("this is a mistake in the architecture, not in the experiment"))]
    Failed(String),
    /// The network cannot be computed, or an image cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Evaluate(#[from] EvaluateError),
}
