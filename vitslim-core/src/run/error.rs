//! What can go wrong with an experiment or a run.

use miette::Diagnostic;
use thiserror::Error;

use super::folder::FolderError;
use super::prepare::PrepareError;
use super::restore::RestoreError;
use crate::experiment::Faults;
use crate::graph::GraphError;
use crate::models::ConfigError;
use crate::slim::{PlanError, RankError};
use crate::train::{EvaluateError, TrainError};

/// A run that failed, or something else that was done with an experiment or a run.
#[derive(Debug, Error, Diagnostic)]
pub enum RunError {
    /// The experiment cannot be run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Prepare(#[from] PrepareError),
    /// The folder cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Folder(#[from] FolderError),
    /// A network of the run cannot be made from its files.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Restore(#[from] RestoreError),
    /// Other data were asked for that cannot be had.
    #[error(transparent)]
    #[diagnostic(transparent)]
    OtherData(#[from] OtherDataError),
    /// A stage failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Train(#[from] TrainError),
    /// A network could not be evaluated.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Evaluate(#[from] EvaluateError),
    /// MACs could not be counted.
    #[error(transparent)]
    #[diagnostic(help("`vitslim check` with this experiment says more of it"))]
    Graph(#[from] GraphError),
    /// The network has other classes than the data.
    #[error("the network has {network} classes, but the data have {data}")]
    #[diagnostic(help(
        "a field `classes` in the configuration of the architecture is filled in from the data"
    ))]
    Classes {
        /// Those of the network.
        network: usize,
        /// Those of the data.
        data: usize,
    },
    /// A budget leaves no token.
    #[error("the sub-network `{label}` has nothing to classify by: {error}")]
    #[diagnostic(help(
        "give the tokens of this budget a larger share; a run that sweeps nothing goes on from its search then"
    ))]
    Tokenless {
        /// Label of the sub-network.
        label: String,
        /// Where.
        error: RankError,
    },
    /// A layer panics when it is cut.
    #[error("the sub-network `{label}` cannot be cut out ({said})")]
    #[diagnostic(help(
        "this is a mistake in the architecture, not in the experiment; `vitslim check` says more of it"
    ))]
    Uncut {
        /// Label of the sub-network.
        label: String,
        /// What the panic says.
        said: String,
    },
    /// The masks could not be ranked.
    #[error(transparent)]
    Rank(#[from] RankError),
    /// A plan could not be carried out.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The architecture refuses on this device what it took on the CPU.
    #[error("the model cannot be made: {0}")]
    Config(ConfigError),
    /// A result could not be put into its file's form.
    #[error("cannot write {what}: {reason}")]
    Format {
        /// What.
        what: &'static str,
        /// Why.
        reason: String,
    },
}

impl RunError {
    /// The mistakes of the file, if that is what is wrong.
    pub(crate) fn faults(&self) -> Option<&Faults> {
        match self {
            Self::Prepare(PrepareError::Faults(faults)) => Some(faults),
            _ => None,
        }
    }
}

impl From<Faults> for RunError {
    fn from(faults: Faults) -> Self {
        Self::Prepare(faults.into())
    }
}

/// Other data that cannot be had.
#[derive(Debug, Error, Diagnostic)]
pub enum OtherDataError {
    /// The data are in no folder.
    #[error("`--data` names a folder, but this run's data, `{0}`, are in none")]
    #[diagnostic(help("leave `--data` out"))]
    NoFolder(&'static str),
    /// What the network's pixels were normalised by cannot be told.
    #[error("other data are normalised as those of the run were, but these cannot be read: {0}")]
    #[diagnostic(help("the run's own data must be where its `experiment.ron` says"))]
    Normalisation(Faults),
    /// There are more or fewer classes there.
    #[error("the run's data have {own} classes, but those of `--data` have {other}")]
    #[diagnostic(help(
        "a network answers for the classes that it was trained with: give data that have the same"
    ))]
    Count {
        /// Classes of the run's data.
        own: usize,
        /// Classes of the other data.
        other: usize,
    },
    /// A label means another class there.
    #[error("the label {label} is `{own}` in the run's data, but `{other}` in those of `--data`")]
    #[diagnostic(help(
        "the folders of the classes must have the same names, since they are numbered in alphabetical order"
    ))]
    Classes {
        /// The first label that differs.
        label: usize,
        /// Its class in the run's data.
        own: String,
        /// Its class in the other data.
        other: String,
    },
}
