//! A stage of a run: pretrain, search or retrain.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::TrainError;
use super::evaluate::{BATCH, EvaluateError};
use super::interrupter::Interrupter;
use super::memory::is_out_of_memory;
use super::teacher::Teacher;
use super::team::{DeviceError, Devices};
use super::trainer::{StepError, TrainerSettings};
use crate::data::{DataError, Loader, Order, Split, Stage};
use crate::experiment::{Freeze, Keep, Masks, Training};
use crate::models::Parameter;
use crate::nn::Precision;
use crate::terminal::three_digits;

/// A stage of a run, with everything that it needs.
#[derive(Clone)]
pub struct StageRun<'a> {
    /// Pretrain, search or retrain.
    pub stage: Stage,
    /// Label of the sub-network, when retraining.
    pub subnet: Option<&'a str>,
    /// Its settings in the experiment.
    pub training: &'a Training,
    /// How masks are trained, in a search.
    pub masks: &'a Masks,
    /// Parameters that are not trained.
    pub freeze: Option<Freeze>,
    /// The parameters of the dense network, when retraining.
    pub dense: Option<&'a [Parameter]>,
    /// The network that teaches it beside the labels, on any device.
    pub teacher: Option<&'a Teacher>,
    /// Steps between two lines of `metrics.jsonl`.
    pub log_every: usize,
    /// Precision of matrix products.
    pub precision: Precision,
    /// Seed of the experiment.
    pub seed: u64,
    /// The training split.
    pub train: Arc<Split>,
    /// The validation split, used after each epoch.
    pub held_out: Arc<Split>,
    /// The devices that it trains on.
    pub devices: &'a Devices,
    /// Folder of the run, for `metrics.jsonl` and checkpoints.
    pub folder: &'a Path,
    /// What was made from the result of this stage, and is removed if the stage has to train again.
    pub dependents: Vec<PathBuf>,
    /// The name of the stage, which changes with all that its numbers depend on.
    pub identity: String,
    /// Folder where trials of a sweep share this stage; `None` where nothing is shared.
    pub shared: Option<PathBuf>,
    /// Which checkpoints stay.
    pub keep: Keep,
    /// Who has taken the run's folder over since the run began, where the file system does not keep processes apart.
    pub taken_over: &'a dyn Fn() -> Option<String>,
    /// Stops the stage after the current batch.
    pub interrupter: Interrupter,
    /// Threads that prepare batches ahead; `None` is the default of [`Loader::new`].
    pub loader_threads: Option<usize>,
    /// Images that later stages train on, to estimate the time left.
    pub images_later: usize,
    /// Whether to hide progress.
    pub quiet: bool,
}

impl StageRun<'_> {
    /// `search`, or `retrain share-0.5`.
    pub(super) fn title(&self) -> String {
        let stage = self.stage.name();
        self.subnet.map_or_else(|| stage.to_owned(), |subnet| format!("{stage} {subnet}"))
    }

    /// The batches to train on.
    pub(super) fn batches(&self) -> Loader {
        let order = Order::Shuffled { seed: self.seed, stage: self.stage };
        let device = self.devices.first.device.clone().autodiff();
        self.with_threads(Loader::new(self.train.clone(), self.training.batch.get(), order, device))
    }

    fn with_threads(&self, loader: Loader) -> Loader {
        match self.loader_threads {
            Some(threads) => loader.with_threads(threads),
            None => loader,
        }
    }

    /// The trainer's settings, for epochs of `steps` steps.
    pub(super) fn trainer(&self, steps: usize) -> TrainerSettings<'_> {
        TrainerSettings {
            training: self.training,
            masks: self.masks,
            freeze: self.freeze,
            dense: self.dense,
            teacher: self.teacher,
            precision: self.precision,
            devices: self.devices,
            steps,
            image: self.train.shape(),
            read_every: self.log_every,
        }
    }

    /// The batches to validate on.
    pub(super) fn held_out_batches(&self) -> Loader {
        let device = self.devices.first.device.clone();
        self.with_threads(Loader::new(self.held_out.clone(), BATCH, Order::AsIs, device))
    }

    /// Checks for an interrupt before `epoch`.
    ///
    /// # Errors
    ///
    /// [`TrainError::Interrupted`] if there was one.
    pub(super) fn check_interrupt(&self, epoch: usize) -> Result<(), TrainError> {
        match self.interrupter.should_stop() {
            true => Err(TrainError::Interrupted { stage: self.stage.name(), epoch }),
            false => Ok(()),
        }
    }

    /// Checks that no other process works in the run's folder, before something is written there.
    ///
    /// # Errors
    ///
    /// [`TrainError::TakenOver`] if one does.
    pub(super) fn check_taken_over(&self) -> Result<(), TrainError> {
        match (self.taken_over)() {
            Some(holder) => Err(TrainError::TakenOver { folder: self.folder.to_owned(), holder }),
            None => Ok(()),
        }
    }

    /// The error of a stage that failed for `reason`.
    pub(super) fn failed(&self, reason: impl ToString) -> TrainError {
        TrainError::Failed { stage: self.stage.name(), reason: reason.to_string(), help: None }
    }

    /// The error of a stage whose images cannot be read.
    pub(super) fn unreadable(&self, error: &DataError) -> TrainError {
        let (stage, help) = (self.stage.name(), error.advice().map(str::to_owned));
        TrainError::Failed { stage, reason: error.to_string(), help }
    }

    /// The error of a stage whose checkpoint cannot be written to `folder`.
    pub(super) fn unsaved(&self, folder: &Path, source: std::io::Error) -> TrainError {
        TrainError::Unsaved { stage: self.stage.name(), path: folder.to_owned(), source }
    }

    /// The error of a stage in which a step of `epoch` failed. The epochs before it are saved in `checkpoints`.
    pub(super) fn step_failed(&self, error: StepError, epoch: usize, checkpoints: &Path) -> TrainError {
        let stage = self.stage.name();
        match error {
            StepError::Device(DeviceError { reason, .. }) if is_out_of_memory(&reason) => {
                self.out_of_memory()
            }
            StepError::Device(DeviceError { device, reason }) => TrainError::Device { stage, device, reason },
            StepError::NotFinite { place, loss, gradient } => {
                let gradient = gradient.map_or_else(String::new, |(parameter, size)| {
                    let parameter = parameter.trim_start_matches("model.");
                    format!("; the largest gradient is that of `{parameter}`, {size:e}")
                });
                let rate = three_digits(place.learning_rate);
                let what =
                    format!("the loss is {loss} at {place}, with a learning rate of {rate:e}{gradient}");
                self.diverged(what, epoch, checkpoints)
            }
            StepError::Parameter(parameter) => {
                let parameter = parameter.trim_start_matches("model.");
                self.diverged(format!("`{parameter}` is not finite after epoch {epoch}"), epoch, checkpoints)
            }
        }
    }

    fn diverged(&self, what: String, epoch: usize, checkpoints: &Path) -> TrainError {
        let saved = match epoch - 1 {
            0 => String::new(),
            before => format!("; the checkpoint of epoch {before} is still in `{}`", checkpoints.display()),
        };
        TrainError::Diverged { stage: self.stage.name(), what, saved }
    }

    /// The error of a stage whose network cannot be validated after `epoch`. The epochs before it are saved in `checkpoints`.
    pub(super) fn validation_failed(
        &self,
        error: &EvaluateError,
        epoch: usize,
        checkpoints: &Path,
    ) -> TrainError {
        match error {
            EvaluateError::NotFinite => {
                let what = format!("the logits on the validation split are not finite after epoch {epoch}");
                self.diverged(what, epoch, checkpoints)
            }
            EvaluateError::OutOfMemory(images) => TrainError::OutOfMemory {
                stage: self.stage.name(),
                work: format!("with {images} validation images at once"),
                remedy: "free some of the device's memory, or choose another device with `--device`"
                    .to_owned(),
            },
            EvaluateError::Data(error) => self.unreadable(error),
            error @ EvaluateError::Device(_) => self.failed(error),
        }
    }

    /// The error of a stage whose batches need more memory than there is.
    pub(super) fn out_of_memory(&self) -> TrainError {
        let stage = self.stage.name();
        let (batch, parts) = (self.training.batch.get(), self.training.accumulate.get());
        let computed = match parts {
            1 => String::new(),
            parts => format!(" computed in {parts} parts"),
        };
        let again = match self.training.checkpointing {
            false => format!(", or keep fewer activations with `--set {stage}.checkpointing=true`"),
            true => String::new(),
        };
        let remedy = match batch {
            _ if 2 * parts <= batch => format!(
                "compute the batch in more parts with `--set {stage}.accumulate={}`, or make it smaller, for example with \
                 `--set {stage}.batch={}`{again}; a run that has saved epochs cannot resume with any of it: give another \
                 folder with `--out`, or delete the run's folder",
                2 * parts,
                batch.div_ceil(2)
            ),
            _ => "each part has only one image: use a smaller network or smaller images, or choose another device \
                  with `--device`"
                .to_owned(),
        };
        TrainError::OutOfMemory { stage, work: format!("at a batch of {batch} images{computed}"), remedy }
    }
}
