//! Why an experiment cannot run.

use miette::Diagnostic;
use thiserror::Error;

use crate::experiment::ExperimentErrors;
use crate::models::SharedParameterError;
use crate::slim::DimensionError;

/// An experiment that cannot run.
#[derive(Debug, Error, Diagnostic)]
pub enum PrepareError {
    /// The file has mistakes.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Experiment(#[from] ExperimentErrors),
    /// The annotations of the architecture are wrong.
    #[error("the annotations of the architecture contradict each other, or its layers: {0}")]
    #[diagnostic(help("this is a mistake in the architecture's `#[slim(...)]`, not in the experiment"))]
    Dimensions(#[from] DimensionError),
    /// Parts of the network are clones of each other.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Shared(#[from] SharedParameterError),
    /// A layer panics when it is asked for its sizes.
    #[error("a layer of the architecture panicked when asked for its sizes ({0})")]
    #[diagnostic(help("this is a mistake in the architecture, not in the experiment"))]
    Sizes(String),
    /// The configuration cannot be written as RON.
    #[error("the configuration of the architecture cannot be written as RON: {0}")]
    Config(String),
}
