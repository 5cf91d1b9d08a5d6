//! One stage of a run: pretrain, search or retrain.

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use burn::tensor::Device;
use burn::train::metric::{AccuracyMetric, LearningRateMetric, LossMetric};
use burn::train::{Learner, SupervisedTraining};
use thiserror::Error;

use super::metrics::{MetricsFile, PenaltyMetric, WriteFailure};
use super::optimizer::{optimizer, scheduler};
use super::progress::StageProgress;
use super::step::Trainee;
use crate::data::{Loader, Order, Part, Stage};
use crate::experiment::{Masks, Training};
use crate::models::Architecture;
use crate::slim::Slim;

/// Images that a validation step computes at once.
const HELD_OUT_BATCH: usize = 128;

/// What a stage needs to know.
#[derive(Clone, Debug)]
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
    /// Folder of the run, for `metrics.jsonl`.
    pub folder: &'a Path,
}

/// A stage that did not end well.
#[derive(Debug, Error)]
pub enum TrainError {
    /// A learning rate or parameter group that burn refuses.
    #[error("the learning rates cannot be set up: {0}")]
    LearningRate(String),
    /// `metrics.jsonl` cannot be written.
    #[error("cannot write `metrics.jsonl`: {0}")]
    Metrics(#[from] std::io::Error),
    /// The training stopped.
    #[error("{stage} stopped: {reason}")]
    Stopped {
        /// Name of the stage.
        stage: &'static str,
        /// Why.
        reason: String,
    },
}

/// Trains `slim` for a stage, and returns it in validation mode.
///
/// # Errors
///
/// When burn refuses the settings, a file cannot be written, or the device fails.
pub fn train<M: Architecture>(slim: Slim<M>, run: &StageRun) -> Result<Slim<M>, TrainError> {
    let StageRun { stage, subnet, training, masks, seed, device, .. } = run.clone();
    let epochs = training.epochs.get();
    let device = device.autodiff();

    let order = Order::Shuffled { seed, stage };
    let train = Loader::new(run.train.clone(), training.batch.get(), order, device.clone());
    let steps = train.batches();
    let held_out = Loader::new(run.held_out.clone(), HELD_OUT_BATCH, Order::AsIs, device.clone().inner());

    let title = match subnet {
        Some(subnet) => format!("{} {subnet}", stage.name()),
        None => stage.name().to_owned(),
    };
    let progress = StageProgress::new(title, epochs, run.train.len());
    let unwritten = WriteFailure::default();
    let metrics = MetricsFile::append(&run.folder.join("metrics.jsonl"), stage, subnet, unwritten.clone())?;

    let trainee = Trainee::new(slim, training.label_smoothing.get()).train().fork(&device);
    let learner = Learner::new(trainee, optimizer(training, masks)?, scheduler(training, masks, steps)?);
    let mut training = SupervisedTraining::new(run.folder, Arc::new(train), Arc::new(held_out))
        .num_epochs(epochs)
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .metric_train_numeric(LearningRateMetric::new())
        .with_metric_logger(metrics)
        .renderer(Box::new(progress))
        .with_application_logger(None);
    if stage == Stage::Search {
        training = training.metric_train_numeric(PenaltyMetric::new());
    }
    let result = training.launch(learner);
    if let Some(error) = unwritten.lock().ok().and_then(|mut failure| failure.take()) {
        return Err(TrainError::Metrics(error));
    }
    match result.error {
        Some(error) => Err(TrainError::Stopped { stage: stage.name(), reason: error.to_string() }),
        None => Ok(result.model.slim),
    }
}
