//! Errors of an experiment or a run.

use std::path::PathBuf;

use miette::Diagnostic;
use thiserror::Error;

use super::folder::FolderError;
use super::prepare_error::PrepareError;
use super::restore::RestoreError;
use super::timing::TimingError;
use crate::experiment::ExperimentErrors;
use crate::graph::GraphError;
use crate::importance::ImportanceError;
use crate::latency::TimeError;
use crate::models::ConfigError;
use crate::slim::{PlanError, RankError};
use crate::terminal::counted;
use crate::train::{EvaluateError, TrainError};
use crate::weights::WeightsError;

/// A run that failed, or another operation on an experiment or a run.
#[derive(Debug, Error, Diagnostic)]
pub enum RunError {
    /// The experiment cannot run.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Prepare(#[from] PrepareError),
    /// The folder cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Folder(#[from] FolderError),
    /// A network of the run cannot be restored from its files.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Restore(#[from] RestoreError),
    /// The run's own data are not what they were.
    #[error("the data are not those of the run in `{}` any more: {change}", .run.display())]
    #[diagnostic(help(
        "restore the data; `vitslim eval --data FOLDER` evaluates on others with the same classes"
    ))]
    ChangedData {
        /// Folder of the run.
        run: PathBuf,
        /// What differs, as a clause.
        change: String,
    },
    /// The run's own test split is not what it was, and its networks are to be evaluated on it.
    #[error("the data are not those of the run in `{}` any more: {change}", .run.display())]
    #[diagnostic(help(
        "restore the data, or give the command of the run again, which measures all networks on the new test split"
    ))]
    ChangedTest {
        /// Folder of the run.
        run: PathBuf,
        /// What differs, as a clause.
        change: String,
    },
    /// A sub-network was retrained, and is not to be replaced by what is cut.
    #[error(
        "the sub-network `{label}` of the run in `{}` was retrained, but a file of it is gone, and so is the checkpoint to make that from",
        .run.display()
    )]
    #[diagnostic(help("restore the files, or retrain it again with `--retrain`"))]
    Unretrained {
        /// Folder of the run.
        run: PathBuf,
        /// Label of the sub-network.
        label: String,
    },
    /// The data that `--data` names cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    OtherData(#[from] OtherDataError),
    /// The search of a run is not complete, or no longer there.
    #[error(
        "no network can be cut out of the run in `{}`: its `{stage}` is not complete, or has lost what it ended with: `{}` {flaw}",
        .run.display(), .file.display()
    )]
    #[diagnostic(help(
        "give the command of the run again, which resumes where it stopped; if it was complete, restore the file, or start again \
         with `vitslim run --fresh`"
    ))]
    Unsearched {
        /// Folder of the run.
        run: PathBuf,
        /// The first stage that is not whole.
        stage: &'static str,
        /// The file that tells.
        file: PathBuf,
        /// What is wrong with it.
        flaw: &'static str,
    },
    /// A stage failed.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Train(#[from] TrainError),
    /// The user interrupted the run between two stages.
    #[error("stopped between two stages; the same command, without `--fresh`, resumes from there")]
    Interrupted,
    /// A network could not be evaluated.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Evaluate(#[from] EvaluateError),
    /// An operation could not be measured.
    #[error(transparent)]
    #[diagnostic(help("limit `Macs` or `Params` instead, or choose another device with `--device`"))]
    Timing(#[from] TimeError),
    /// MACs could not be counted.
    #[error(transparent)]
    #[diagnostic(help("`vitslim check` with this experiment explains it"))]
    Graph(#[from] GraphError),
    /// The network has another number of classes than the data.
    #[error("the network has {}, but the data have {data}", counted(*.network, "class", "classes"))]
    #[diagnostic(help(
        "a field `classes` in the configuration of the architecture is filled in from the data"
    ))]
    Classes {
        /// Number of classes of the network.
        network: usize,
        /// Number of classes of the data.
        data: usize,
    },
    /// A budget leaves no token.
    #[error("the sub-network `{label}` has nothing to classify by: {error}")]
    #[diagnostic(help(
        "give the tokens of this budget a larger share; a run without a sweep then resumes from its search"
    ))]
    Tokenless {
        /// Label of the sub-network.
        label: String,
        /// The gate that is left without tokens.
        error: RankError,
    },
    /// A budget that no sub-network keeps.
    #[error(
        "the budget `{label}` cannot be met: it asks for {asked}, and the smallest network that can be cut has {smallest}"
    )]
    #[diagnostic(help(
        "ask for a share of {share} or more, search more dimensions, or spare less by `keep_at_least` and `protect`"
    ))]
    Unreachable {
        /// Label of the budget.
        label: String,
        /// How much is allowed of what is limited.
        asked: String,
        /// How much is left when all is cut that may be.
        smallest: String,
        /// That, as a share of the dense network.
        share: f64,
    },
    /// A budget that is larger than the dense network.
    #[error("the budget `{label}` asks for {asked}, but the dense network has {largest}")]
    #[diagnostic(help("ask for less, or for a share of it, such as 0.5; 1.0 is the dense network"))]
    Larger {
        /// Label of the budget.
        label: String,
        /// How much is allowed of what is limited.
        asked: String,
        /// That of the dense network.
        largest: String,
    },
    /// More is spared than a share leaves.
    #[error(
        "in the budget `{label}`, \"{key}\" keeps {kept} of {of} masks, but `keep_at_least` and `protect` keep {spared}"
    )]
    #[diagnostic(help("give the key a larger share, or spare less"))]
    Spared {
        /// Label of the budget.
        label: String,
        /// Key of the share.
        key: String,
        /// Masks that the share keeps.
        kept: usize,
        /// All masks of the key.
        of: usize,
        /// Masks that are spared.
        spared: usize,
    },
    /// A sub-network lets no image through.
    #[error("the sub-network `{label}` lets no image through: {reason}")]
    #[diagnostic(help("{help}"))]
    Blind {
        /// Label of the sub-network.
        label: String,
        /// What it lacks.
        reason: String,
        /// What to do.
        help: String,
    },
    /// A sub-network computes something else than the network that is masked instead.
    #[error(
        "the sub-network `{label}` is not the masked network: on {}, their logits differ by {difference:.0e} of the largest{culprit}",
        counted(*.images, "image", "images")
    )]
    #[diagnostic(help("{help}"))]
    Differs {
        /// Label of the sub-network.
        label: String,
        /// Number of images of a batch, or of all that were compared.
        images: usize,
        /// The difference over the largest logit.
        difference: f64,
        /// The dimension that makes them differ, as the end of the message.
        culprit: String,
        /// What to do.
        help: String,
    },
    /// The forward pass takes one image, but not a batch.
    #[error("the forward pass fails on {} ({said})", counted(*.images, "image", "images"))]
    #[diagnostic(help("does it take the number of images from its input?"))]
    Batch {
        /// Number of images.
        images: usize,
        /// The message of the panic.
        said: String,
    },
    /// A layer panics when it is cut.
    #[error("the sub-network `{label}` cannot be cut out ({said})")]
    #[diagnostic(help(
        "this is a mistake in the architecture, not in the experiment; `vitslim check` explains it"
    ))]
    Uncut {
        /// Label of the sub-network.
        label: String,
        /// The message of the panic.
        said: String,
    },
    /// The units could not be scored.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Importance(#[from] ImportanceError),
    /// The masks could not be ranked.
    #[error(transparent)]
    Rank(#[from] RankError),
    /// A plan could not be applied.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The trained weights cannot be used.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Weights(#[from] WeightsError),
    /// The architecture refuses on this device what it accepted on the CPU.
    #[error("the model cannot be made: {0}")]
    Config(ConfigError),
    /// A teacher was not opened.
    #[error("the network that teaches `{0}` was not opened when the experiment was prepared")]
    #[diagnostic(help("`vitslim run` opens it"))]
    Unopened(&'static str),
    /// A result could not be written in the format of its file.
    #[error("cannot write {what}: {reason}")]
    Format {
        /// The result.
        what: &'static str,
        /// The error of the format.
        reason: String,
    },
}

impl From<TimingError> for RunError {
    fn from(error: TimingError) -> Self {
        match error {
            TimingError::Operation(error) => Self::Timing(error),
            TimingError::Graph(error) => Self::Graph(error),
            TimingError::Network(error) => Self::Evaluate(error),
        }
    }
}

impl RunError {
    /// That `what` could not be written, for the reason that its format gives.
    pub(super) fn format(what: &'static str, reason: impl ToString) -> Self {
        Self::Format { what, reason: reason.to_string() }
    }

    /// Whether another process has started to work in the folder of the run, where locks have no effect.
    pub(crate) fn is_taken_over(&self) -> bool {
        matches!(
            self,
            Self::Folder(FolderError::TakenOver { .. }) | Self::Train(TrainError::TakenOver { .. })
        )
    }

    /// Whether the user stopped the run, which can resume.
    pub(crate) fn is_interruption(&self) -> bool {
        matches!(self, Self::Interrupted | Self::Train(TrainError::Interrupted { .. }))
    }

    /// The mistakes in the file, if they are the error.
    pub(crate) fn errors(&self) -> Option<&ExperimentErrors> {
        match self {
            Self::Prepare(PrepareError::Experiment(errors)) => Some(errors),
            _ => None,
        }
    }
}

impl From<ExperimentErrors> for RunError {
    fn from(errors: ExperimentErrors) -> Self {
        Self::Prepare(errors.into())
    }
}

/// Data given with `--data` that cannot be used.
#[derive(Debug, Error, Diagnostic)]
pub enum OtherDataError {
    /// The run's data are not in a folder.
    #[error("`--data` names a folder, but this run's data, `{0}`, do not come from one")]
    #[diagnostic(help("leave out `--data`"))]
    NoFolder(&'static str),
    /// The network is by itself, and its data lie in a folder.
    #[error("the file does not have the data of its network, `{0}`")]
    #[diagnostic(help("say where they are with `--data FOLDER`"))]
    Needed(&'static str),
    /// The normalisation of the run cannot be read.
    #[error("other data are normalised like the run's own data, which cannot be read: {0}")]
    #[diagnostic(help("put the run's own data where its `experiment.ron` says"))]
    Normalisation(ExperimentErrors),
    /// The number of classes differs.
    #[error("the run's data have {}, but those of `--data` have {other}", counted(*.own, "class", "classes"))]
    #[diagnostic(help(
        "a network only knows the classes that it was trained with: give data with the same classes"
    ))]
    Count {
        /// Number of classes of the run's data.
        own: usize,
        /// Number of classes of the other data.
        other: usize,
    },
    /// A label stands for another class.
    #[error("the label {label} is `{own}` in the run's data, but `{other}` in those of `--data`")]
    #[diagnostic(help(
        "give the folders of the classes the same names: classes are numbered in alphabetical order, unless \
         `classes: [...]` names them"
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
