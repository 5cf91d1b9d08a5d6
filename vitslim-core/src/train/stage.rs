//! One stage of a run: pretrain, search or retrain. It goes on where it was stopped.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use burn::module::Module;
use burn::train::checkpoint::CheckpointerError;
use burn::train::metric::{AccuracyMetric, LearningRateMetric, LossMetric};
use burn::train::{Interrupter, Learner, SupervisedTraining, TrainingError, TrainingStrategy};

use super::TrainError;
use super::checkpoint::{Checkpoints, Keep};
use super::ema::Ema;
use super::ending::Chosen;
use super::fit::Fit;
use super::freeze::freeze_weights;
use super::layer_decay::layers;
use super::memory::{catch_out_of_memory, is_out_of_memory};
use super::meter::Meter;
use super::metrics::{EmaAccuracyMetric, PenaltyMetric};
use super::optimizer::{optimizer, scheduler};
use super::parallel::{Devices, Team};
use super::progress::StageProgress;
use super::record::{RECORD, StageRecord};
use super::share::take_over;
use super::step::{StepSettings, Trainee};
use super::take_up::take_up;
use super::watch::{NotFinite, Trouble, Watch};
use crate::data::{Loader, Order, Split, Stage};
use crate::experiment::{Freeze, Masks, Training};
use crate::models::Architecture;
use crate::nn::Precision;
use crate::slim::Slim;
use crate::terminal::{one_line, say};

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
    /// What is not trained.
    pub freeze: Option<Freeze>,
    /// Steps between two lines of `metrics.jsonl`.
    pub log_every: usize,
    /// What the network multiplies matrices in.
    pub precision: Precision,
    /// Seed of the experiment.
    pub seed: u64,
    /// What it trains on.
    pub train: Arc<Split>,
    /// What it is validated on after each epoch.
    pub held_out: Arc<Split>,
    /// Where it computes.
    pub devices: &'a Devices,
    /// Folder of the run, for `metrics.jsonl` and checkpoints.
    pub folder: &'a Path,
    /// What was made from an earlier end of this stage, and is removed when it has to train again.
    pub dependents: Vec<PathBuf>,
    /// Where trials of a sweep share this stage, if it is one of a sweep.
    pub shared: Option<PathBuf>,
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
    /// Epochs that were trained.
    pub epochs: usize,
    /// Seconds that its epochs took, over all restarts.
    pub seconds: f64,
}

impl StageRun<'_> {
    pub(super) fn title(&self) -> String {
        let stage = self.stage.name();
        self.subnet.map_or_else(|| stage.to_owned(), |subnet| format!("{stage} {subnet}"))
    }

    /// The error of a device that failed for `reason`.
    fn failed(&self, reason: String, validates: bool) -> TrainError {
        match is_out_of_memory(&reason) {
            true => self.out_of_memory(validates),
            false => TrainError::Failed { stage: self.stage.name(), reason },
        }
    }

    fn out_of_memory(&self, validates: bool) -> TrainError {
        let stage = self.stage.name();
        let (batch, parts) = (self.training.batch.get(), self.training.accumulate.get());
        if validates {
            return TrainError::OutOfMemory {
                stage,
                work: format!("with {HELD_OUT_BATCH} held-out images at once"),
                remedy: "free memory of the device, or compute on another with `--device`".to_owned(),
            };
        }
        let computed = match parts {
            1 => String::new(),
            parts => format!(" computed in {parts} parts"),
        };
        let remedy = match batch {
            _ if 2 * parts <= batch => format!(
                "compute it in more parts, with `--set {stage}.accumulate={}`, or take a smaller one, for example with \
                 `--set {stage}.batch={}`; a run that has saved epochs goes on with neither: then give another folder \
                 with `--out`, or delete that of the run",
                2 * parts,
                batch.div_ceil(2)
            ),
            _ => "its parts have one image each: take a smaller network or smaller images, or compute on another device \
                  with `--device`"
                .to_owned(),
        };
        TrainError::OutOfMemory { stage, work: format!("at a batch of {batch} images{computed}"), remedy }
    }

    fn unfit(&self, epoch: usize, error: impl std::fmt::Display) -> TrainError {
        let reason = one_line(&error.to_string());
        TrainError::Unfit { stage: self.stage.name(), epoch, reason }
    }
}

/// Trains `slim` for a stage, from its last good checkpoint if there is one.
///
/// # Errors
///
/// When it is interrupted, the loss is not finite, burn refuses the settings, a file cannot be read or written, a checkpoint
/// is that of another network, or the device fails.
pub fn train<M: Architecture>(slim: Slim<M>, run: &StageRun) -> Result<Trained<M>, TrainError> {
    let record = StageRecord::new(run.folder.join(RECORD), run.stage, run.subnet);
    let folder = run.folder.join(checkpoint_folder(run.stage, run.subnet));
    let checkpoints = Checkpoints::new(folder, run.training.ema.is_some());
    let watch = Watch::new(run.interrupter.clone());
    let trainee = Trainee::new(slim, StepSettings::new(run.training, run.precision), watch.clone());
    let trainee = trainee.train().fork(&run.devices.first.device.clone().autodiff());

    let claim = take_over(run, &record, &checkpoints)?;
    let (begun, complete) = take_up(run, &record, &checkpoints)?;
    match begun {
        Some(epochs) if complete && !run.quiet => {
            say(format_args!("{}: complete, {epochs} epochs", run.title()));
        }
        _ if complete => {}
        _ => fit(run, trainee.clone(), &record, &checkpoints, begun, &watch)?,
    }
    if let Some(claim) = claim {
        claim.publish(&record, &checkpoints)?;
    }

    // What goes on is what was saved, whether it was trained just now or before a restart.
    let epochs = record.epochs().map_err(|error| record.error(error))?;
    let chosen = Chosen::of(&epochs, run.training).ok_or_else(|| TrainError::Failed {
        stage: run.stage.name(),
        reason: "no epoch is recorded".into(),
    })?;
    if !run.quiet && (chosen.averaged || chosen.epoch < epochs.len()) {
        let weights = if chosen.averaged { "averaged weights" } else { "weights" };
        say(format_args!("{}: the {weights} of epoch {} go on", run.title(), chosen.epoch));
    }
    let saved = checkpoints.load(chosen).map_err(|error| run.unfit(chosen.epoch, error))?;
    let trained = trainee.try_load_record(saved).map_err(|error| run.unfit(chosen.epoch, error))?.valid();
    let seconds = record.seconds().map_err(|error| record.error(error))?;
    Ok(Trained { slim: trained.slim, epochs: epochs.len(), seconds })
}

/// Trains the epochs after `begun`.
fn fit<M: Architecture>(
    run: &StageRun,
    mut trainee: Trainee<M>,
    record: &StageRecord,
    checkpoints: &Checkpoints,
    begun: Option<usize>,
    watch: &Watch,
) -> Result<(), TrainError> {
    let StageRun { stage, training, masks, seed, .. } = *run;
    let device = run.devices.first.device.clone().autodiff();
    let epochs = training.epochs.get();

    let order = Order::Shuffled { seed, stage };
    let train = Loader::new(run.train.clone(), training.batch.get(), order, device.clone());
    let train = match run.loader_threads {
        Some(threads) => train.with_threads(threads),
        None => train,
    };
    let steps = train.batches();
    let held_out = Loader::new(run.held_out.clone(), HELD_OUT_BATCH, Order::AsIs, device.inner());
    let train = Arc::new(train.after(begun.unwrap_or(0)));

    let mut average = trainee.clone();
    if let Some(epoch) = begun {
        let load = |trainee: &Trainee<M>, averaged: bool| {
            let saved =
                checkpoints.load(Chosen { epoch, averaged }).map_err(|error| run.unfit(epoch, error))?;
            trainee.clone().try_load_record(saved).map_err(|error| run.unfit(epoch, error))
        };
        // burn loads the weights once more, and panics if they do not fit.
        load(&trainee, false)?;
        if training.ema.is_some() {
            average = load(&trainee, true)?;
        }
    }
    let ema = training.ema.map(|decay| Ema::new(average.valid(), decay.get()));
    match run.freeze {
        Some(Freeze::Weights) => trainee.slim.model = freeze_weights(trainee.slim.model),
        None => {}
    }

    let meter = Meter::default();
    let fit = Arc::new(Fit {
        record: record.clone(),
        folder: run.folder.to_owned(),
        checkpoints: checkpoints.clone(),
        team: Team::new(run.devices),
        meter: meter.clone(),
        steps,
        log_every: run.log_every,
        training: training.clone(),
        seconds_before: record.seconds().map_err(|error| record.error(error))?,
        started: Instant::now(),
        ema: Mutex::new(ema),
        failure: Mutex::new(None),
        validates: AtomicBool::new(false),
    });
    let rates = scheduler(training, masks, steps, &layers_of(training, &trainee))?;
    let learner = Learner::new(trainee, optimizer(training, masks)?, rates);
    let progress = StageProgress::new(run, epochs);
    let keep = Keep { checkpoints: checkpoints.clone(), record: record.clone(), training: training.clone() };
    let [model, optimizer, learning_rate] = checkpoints.savers();
    let mut supervised = SupervisedTraining::new(run.folder, train.clone(), Arc::new(held_out))
        .num_epochs(epochs)
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .metric_train_numeric(LearningRateMetric::new())
        .with_metric_logger(meter)
        .with_training_strategy(TrainingStrategy::Custom(fit.clone()))
        .with_custom_checkpointers(model, optimizer, learning_rate)
        .with_checkpointing_strategy(keep)
        .with_interrupter(run.interrupter.clone())
        .renderer(Box::new(progress))
        .with_application_logger(None);
    if stage == Stage::Search {
        supervised = supervised.metric_train_numeric(PenaltyMetric::new());
    }
    if training.ema.is_some() {
        supervised = supervised.metric_valid_numeric(EmaAccuracyMetric::new());
    }
    if let Some(epoch) = begun {
        supervised = supervised.checkpoint(epoch);
    }
    let result = catch_out_of_memory(|| supervised.launch(learner));

    let validates = fit.validates.load(Ordering::Relaxed);
    match watch.found() {
        Some(Trouble::NotFinite(found)) => {
            return Err(not_finite(stage.name(), &found, training, masks, steps)?);
        }
        Some(Trouble::Device(reason)) => return Err(run.failed(reason, validates)),
        None => {}
    }
    let result = result.map_err(|_| run.out_of_memory(validates))?;
    if let Some(error) = fit.failure.lock().unwrap_or_else(PoisonError::into_inner).take() {
        return Err(match error {
            TrainError::Device { reason, .. } if is_out_of_memory(&reason) => run.out_of_memory(validates),
            error => error,
        });
    }
    if let Some(error) = result.error {
        if let TrainingError::Checkpoint(CheckpointerError::IOError(unsaved)) = &*error {
            let unsaved = std::io::Error::new(unsaved.kind(), unsaved.to_string());
            return Err(record.unsaved(checkpoints.folder(), CheckpointerError::IOError(unsaved)));
        }
        return Err(run.failed(error.to_string(), validates));
    }
    if result.interrupted.is_some() {
        let epoch = record.epochs().map_err(|error| record.error(error))?.len() + 1;
        return Err(TrainError::Interrupted { stage: stage.name(), epoch: epoch.min(epochs) });
    }
    Ok(())
}

/// Paths of the parameters of each layer, where learning rates differ between them.
fn layers_of<M: Architecture>(training: &Training, trainee: &Trainee<M>) -> Vec<Vec<String>> {
    match training.layer_decay {
        Some(_) => layers(&trainee.slim.model),
        None => Vec::new(),
    }
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
    let mut rates = scheduler(training, masks, steps, &[])?;
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
