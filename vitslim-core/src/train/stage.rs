//! One stage of a run: pretrain, search or retrain. It goes on where it was stopped.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use burn::train::checkpoint::{CheckpointerError, KeepLastNCheckpoints};
use burn::train::metric::{AccuracyMetric, LearningRateMetric, LossMetric};
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingError};
use miette::Diagnostic;
use thiserror::Error;

use super::checkpoint::{Checkpoints, KEPT};
use super::optimizer::{optimizer, scheduler};
use super::penalty::PenaltyMetric;
use super::progress::StageProgress;
use super::record::{RecordLogger, StageRecord, WriteFailure};
use super::step::Trainee;
use super::watch::{NotFinite, Watch};
use crate::data::{Loader, Order, Part, Stage};
use crate::experiment::{Masks, Training};
use crate::models::Architecture;
use crate::slim::Slim;
use crate::terminal::say;
use crate::whole_file::{remedy, remove};

/// Images that a validation step computes at once.
const HELD_OUT_BATCH: usize = 128;

/// What a stage needs to know.
#[derive(Clone)]
pub struct StageRun<'a> {
    /// Which stage.
    pub stage: Stage,
    /// Label of the sub-network, when retraining.
    pub subnet: Option<&'a str>,
    /// Its settings.
    pub training: &'a Training,
    /// How masks are trained, in a search.
    pub masks: &'a Masks,
    /// Seed of the experiment.
    pub seed: u64,
    /// What it trains on.
    pub train: Arc<Part>,
    /// What it is validated on after each epoch.
    pub held_out: Arc<Part>,
    /// Where it computes.
    pub device: Device,
    /// Folder of the run, for `metrics.jsonl` and checkpoints.
    pub folder: &'a Path,
    /// What was made from an earlier end of this stage, and is removed when it has to train again.
    pub dependents: Vec<PathBuf>,
    /// Stops it after the batch at hand.
    pub interrupter: Interrupter,
    /// Threads that prepare training batches ahead, where not those of [`Loader::new`].
    pub loader_threads: Option<usize>,
    /// Images that later stages train on, for the time that is left.
    pub images_later: usize,
    /// Shows no progress.
    pub quiet: bool,
}

/// The end of a stage.
#[derive(Debug)]
pub struct Trained<M: Module> {
    /// Model and masks, in validation mode.
    pub slim: Slim<M>,
    /// Seconds that its epochs took, over all restarts.
    pub seconds: f64,
}

/// A stage that did not end well.
#[derive(Debug, Error, Diagnostic)]
pub enum TrainError {
    /// A learning rate or parameter group that burn refuses.
    #[error("the learning rates cannot be set up: {0}")]
    LearningRate(String),
    /// A file of the run cannot be read or written.
    #[error("cannot use `{}`", .path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// A checkpoint cannot be written.
    #[error("{stage} was stopped: its checkpoint cannot be written to `{}`", .path.display())]
    #[diagnostic(help("{}", remedy(source)))]
    Unsaved {
        /// Name of the stage.
        stage: &'static str,
        /// The folder of its checkpoints.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The loss is no number any more.
    #[error(
        "{stage} diverged: the loss is {loss} at step {step} of epoch {epoch}, with a learning rate of {learning_rate:e}{gradient}"
    )]
    #[diagnostic(help(
        "try a lower learning rate, a longer warm-up or a smaller weight of the penalty; the last checkpoint before it \
         is still in the run's folder"
    ))]
    NotFinite {
        /// Name of the stage.
        stage: &'static str,
        /// The loss.
        loss: f64,
        /// Epoch, from 1.
        epoch: usize,
        /// Step of the epoch, from 1.
        step: usize,
        /// Learning rate of that step.
        learning_rate: f64,
        /// Which gradient is the largest.
        gradient: String,
    },
    /// It was asked to stop.
    #[error("{stage} was stopped in epoch {epoch}; give the same command to go on from there")]
    Interrupted {
        /// Name of the stage.
        stage: &'static str,
        /// The epoch that is begun again.
        epoch: usize,
    },
    /// The training failed.
    #[error("{stage} failed: {reason}")]
    Failed {
        /// Name of the stage.
        stage: &'static str,
        /// Why.
        reason: String,
    },
}

/// Trains `slim` for a stage, from its last good checkpoint if there is one.
///
/// # Errors
///
/// When it is interrupted, the loss is not finite, burn refuses the settings, a file cannot be written, or the device
/// fails.
pub fn train<M: Architecture>(slim: Slim<M>, run: &StageRun) -> Result<Trained<M>, TrainError> {
    let StageRun { stage, subnet, training, masks, seed, .. } = *run;
    let epochs = training.epochs.get();
    let device = run.device.clone().autodiff();
    let name = stage.name();
    let title = subnet.map_or_else(|| name.to_owned(), |subnet| format!("{name} {subnet}"));

    let metrics = run.folder.join("metrics.jsonl");
    let file = |source| TrainError::File { path: metrics.clone(), source };
    let record = StageRecord::new(metrics.clone(), stage, subnet);
    let checkpoints = Checkpoints::new(run.folder.join(checkpoint_folder(stage, subnet)));
    let (begun, damaged) = checkpoints.last_good(record.epochs().map_err(file)?);
    let instead = if begun.is_some() { "the one before it is used" } else { "the stage begins anew" };
    for epoch in damaged {
        say(format_args!("{title}: the checkpoint of epoch {epoch} is damaged; {instead}"));
    }
    if begun != Some(epochs) {
        for path in &run.dependents {
            remove(path).map_err(|source| TrainError::File { path: path.clone(), source })?;
        }
        record.cut_back(begun.unwrap_or(0)).map_err(file)?;
    }

    let order = Order::Shuffled { seed, stage };
    let train = Loader::new(run.train.clone(), training.batch.get(), order, device.clone());
    let train = match run.loader_threads {
        Some(threads) => train.with_threads(threads),
        None => train,
    };
    let steps = train.batches();
    let held_out = Loader::new(run.held_out.clone(), HELD_OUT_BATCH, Order::AsIs, device.clone().inner());
    let train = Arc::new(train.after(begun.unwrap_or(0)));

    let unwritten = WriteFailure::default();
    let logger = RecordLogger::append(record.clone(), unwritten.clone()).map_err(file)?;
    let watch = Watch::new(run.interrupter.clone());
    let trainee = Trainee::new(slim, training.label_smoothing.get(), watch.clone()).train().fork(&device);
    let learner = Learner::new(trainee, optimizer(training, masks)?, scheduler(training, masks, steps)?);
    let progress = StageProgress::new(title, epochs, run.train.len(), run.images_later, run.quiet);
    let [model, optimizer, learning_rate] = checkpoints.savers();
    let mut supervised = SupervisedTraining::new(run.folder, train, Arc::new(held_out))
        .num_epochs(epochs)
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .metric_train_numeric(LearningRateMetric::new())
        .with_metric_logger(logger)
        .with_custom_checkpointers(model, optimizer, learning_rate)
        .with_checkpointing_strategy(KeepLastNCheckpoints::new(KEPT))
        .with_interrupter(run.interrupter.clone())
        .renderer(Box::new(progress))
        .with_application_logger(None);
    if stage == Stage::Search {
        supervised = supervised.metric_train_numeric(PenaltyMetric::new());
    }
    if let Some(epoch) = begun {
        supervised = supervised.checkpoint(epoch);
    }
    let result = supervised.launch(learner);

    if let Some(found) = watch.found() {
        return Err(not_finite(name, &found, training, masks, steps)?);
    }
    if let Some(source) = unwritten.lock().ok().and_then(|mut failure| failure.take()) {
        return Err(file(source));
    }
    if let Some(error) = result.error {
        if let TrainingError::Checkpoint(CheckpointerError::IOError(unsaved)) = &*error {
            let source = std::io::Error::new(unsaved.kind(), unsaved.to_string());
            let path = run.folder.join(checkpoint_folder(stage, subnet));
            return Err(TrainError::Unsaved { stage: name, path, source });
        }
        return Err(TrainError::Failed { stage: name, reason: error.to_string() });
    }
    if result.interrupted.is_some() {
        let epoch = record.epochs().map_err(file)? + 1;
        return Err(TrainError::Interrupted { stage: name, epoch: epoch.min(epochs) });
    }
    Ok(Trained { slim: result.model.slim, seconds: record.seconds().map_err(file)? })
}

/// Where the checkpoints of a stage are, in the run's folder.
pub fn checkpoint_folder(stage: Stage, subnet: Option<&str>) -> PathBuf {
    let folder = Path::new("checkpoints").join(stage.name());
    subnet.map_or(folder.clone(), |subnet| folder.join(subnet))
}

fn not_finite(
    stage: &'static str,
    found: &NotFinite,
    training: &Training,
    masks: &Masks,
    steps: usize,
) -> Result<TrainError, TrainError> {
    let mut rates = scheduler(training, masks, steps)?;
    let rates = (0..(found.epoch - 1) * steps + found.step).map(|_| rates.step().base());
    let gradient = match &found.gradient {
        Some((parameter, size)) => {
            let parameter = parameter.trim_start_matches("slim.").trim_start_matches("model.");
            format!("; the largest gradient is that of `{parameter}`, {size:e}")
        }
        None => String::new(),
    };
    Ok(TrainError::NotFinite {
        stage,
        loss: found.loss,
        epoch: found.epoch,
        step: found.step,
        learning_rate: rates.last().unwrap_or(0.0),
        gradient,
    })
}
