//! Training of a network, step by step. Runs, `bench` and `plan` all use this step.

use burn::module::{Module, ModuleVisitor, Param};
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::{GradientsParams, ModuleOptimizer};
use burn::tensor::Tensor;
use thiserror::Error;

use super::TrainError;
use super::checkpoint::Checkpoints;
use super::early_stopping::Chosen;
use super::evaluate::EvaluateError;
use super::finite::not_finite;
use super::optimizer::{Ema, clip, freeze, optimizer, schedule};
use super::record::{Meter, MeterError, Place, Values, value};
use super::step::StepSettings;
use super::teacher::Teacher;
use super::team::{DeviceError, Devices, Team};
use crate::data::{Batch, ImageShape};
use crate::device::is_cpu;
use crate::experiment::{Freeze, Masks, Training};
use crate::models::{Architecture, Parameter};
use crate::nn::Precision;
use crate::slim::Slim;

/// A model with its masks, their optimizer, and what their steps measured.
pub struct Trainer<M: Architecture> {
    slim: Slim<M>,
    optimizer: ModuleOptimizer,
    schedule: ModuleLrScheduler,
    /// Running average of model and masks, in validation mode.
    average: Option<Ema<Slim<M>>>,
    settings: StepSettings,
    team: Team,
    meter: Meter,
    /// Steps taken, over all restarts.
    steps: usize,
    /// Learning rate of the last step; where parameters differ, the rate of most of them.
    learning_rate: f64,
}

/// How a network is trained.
#[derive(Clone, Copy)]
pub struct TrainerSettings<'a> {
    /// Settings of the stage.
    pub training: &'a Training,
    /// How its masks are trained, in a search.
    pub masks: &'a Masks,
    /// Parameters that are not trained.
    pub freeze: Option<Freeze>,
    /// The parameters of the dense network that it is cut out of: by their shapes they decay. `None` if it is not cut.
    pub dense: Option<&'a [Parameter]>,
    /// The network that teaches it beside the labels, on any device.
    pub teacher: Option<&'a Teacher>,
    /// Precision of matrix products.
    pub precision: Precision,
    /// The devices that it trains on.
    pub devices: &'a Devices,
    /// Steps per epoch, for the learning rate schedule.
    pub steps: usize,
    /// What an image is.
    pub image: ImageShape,
    /// Losses are read after this many steps. On the CPU, where reading costs nothing, they are read after each step.
    pub read_every: usize,
}

/// A step that failed. The weights are of no use afterwards.
#[derive(Debug, Error)]
pub enum StepError {
    /// The loss is not finite.
    #[error("the loss is {loss} at {place}")]
    NotFinite {
        /// The first such step that was found.
        place: Place,
        /// The loss that is not finite.
        loss: f64,
        /// The parameter with the largest gradient, and its size, if that step was the last.
        gradient: Option<(String, f64)>,
    },
    /// A parameter is not finite.
    #[error("`{0}` is not finite")]
    Parameter(String),
    /// A device failed.
    #[error(transparent)]
    Device(#[from] DeviceError),
}

impl<M: Architecture> Trainer<M> {
    /// A trainer for `slim`, which is in validation mode, before its first step.
    ///
    /// # Errors
    ///
    /// When burn refuses the learning rates.
    pub fn new(slim: Slim<M>, settings: TrainerSettings) -> Result<Self, TrainError> {
        let TrainerSettings { training, masks, devices, .. } = settings;
        let device = &devices.first.device;
        let mut slim = slim.train().fork(&device.clone().autodiff());
        if let Some(Freeze::Weights) = settings.freeze {
            slim.model = freeze(slim.model);
        }
        Ok(Self {
            optimizer: optimizer(training, masks, &slim, settings.dense),
            schedule: schedule(training, masks, settings.steps, &slim, settings.image)?,
            average: training.ema.map(|decay| Ema::new(slim.valid(), decay.get())),
            settings: StepSettings::new(training, settings.precision),
            team: Team::new(devices, settings.teacher),
            meter: Meter::new(if is_cpu(device) { 1 } else { settings.read_every }),
            steps: 0,
            learning_rate: 0.0,
            slim,
        })
    }

    /// A trainer that resumes `slim`, which is in validation mode, after `epoch`, whose checkpoint is good.
    ///
    /// # Errors
    ///
    /// When the checkpoint belongs to another network, or burn refuses the learning rates.
    pub(super) fn resume(
        slim: Slim<M>,
        settings: TrainerSettings,
        checkpoints: &Checkpoints,
        epoch: usize,
    ) -> Result<Self, TrainError> {
        let load = |averaged, slim| checkpoints.load(Chosen { epoch, averaged }, slim);
        // First of all, since optimizer and learning rates know parameters by the ids that the checkpoint restores.
        let mut trainer = Self::new(load(false, slim.clone())?, settings)?;
        if let Some(decay) = settings.training.ema {
            trainer.average = Some(Ema::new(load(true, slim)?, decay.get()));
        }
        trainer.optimizer = checkpoints.load_optimizer(epoch, trainer.optimizer)?;
        trainer.steps = epoch * settings.steps;
        // A schedule is restored by as many steps as it has taken.
        (0..trainer.steps).for_each(|_| drop(trainer.schedule.step()));
        Ok(trainer)
    }

    /// Takes a step: forward, backward, and update of weights and masks. The device may still be computing when this returns.
    ///
    /// # Errors
    ///
    /// When a device fails, or a loss is found not to be finite: that of this step, or of an earlier one that had not been read.
    pub fn step(mut self, batch: Batch) -> Result<Self, StepError> {
        let rates = self.schedule.step();
        let place = Place { epoch: batch.epoch, step: batch.step, learning_rate: rates.base() };
        let images = batch.len();
        let (mut gradients, measured) = self.team.compute(&self.slim, self.settings, batch)?;
        self.meter.add(place, images, measured);
        if self.meter.is_full() {
            self.meter.read().map_err(|error| self.failure(error, Some((place, &gradients))))?;
        }

        let Self { slim, mut optimizer, schedule, mut average, settings, team, meter, .. } = self;
        let steps = self.steps + 1;
        let (slim, optimizer, average) = team.on_first(move || {
            if let Some(largest) = settings.clip {
                clip(&slim, &mut gradients, largest);
            }
            // The optimizer writes over weights that nobody else holds.
            let slim = optimizer.step(rates, slim, gradients);
            if let Some(average) = &mut average {
                average.update(&slim.valid(), steps);
            }
            (slim, optimizer, average)
        })?;
        let learning_rate = place.learning_rate;
        Ok(Self { slim, optimizer, schedule, average, settings, team, meter, steps, learning_rate })
    }

    /// Takes a step and waits until the device has done all of it, so that it can be timed.
    ///
    /// # Errors
    ///
    /// When the loss is not finite or the device fails.
    pub fn timed_step(self, batch: Batch) -> Result<Self, EvaluateError> {
        let images = batch.len();
        let step = || {
            let mut trainer = self.step(batch)?;
            trainer.read()?;
            trainer.team.wait()?;
            Ok(trainer)
        };
        step().map_err(|error| match error {
            StepError::NotFinite { .. } | StepError::Parameter(_) => EvaluateError::NotFinite,
            StepError::Device(failure) => EvaluateError::device(failure.reason, images),
        })
    }

    /// Waits for the device to finish all steps, and reads what they measured.
    ///
    /// # Errors
    ///
    /// When the device failed, or a loss is not finite.
    pub fn read(&mut self) -> Result<(), StepError> {
        self.meter.read().map_err(|error| self.failure(error, None))
    }

    /// Checks what the last step made of the parameters, which no loss tells of: those of model and masks, and their average.
    ///
    /// # Errors
    ///
    /// When one is not finite, or the device failed.
    pub(super) fn check_parameters(&self) -> Result<(), StepError> {
        for slim in [Some(&self.slim()), self.average()].into_iter().flatten() {
            match not_finite(slim) {
                Ok(None) => {}
                Ok(Some(parameter)) => return Err(StepError::Parameter(parameter)),
                Err(error) => return Err(self.team.first_failure(&error.to_string()).into()),
            }
        }
        Ok(())
    }

    fn failure(&self, error: MeterError, last: Option<(Place, &GradientsParams)>) -> StepError {
        match error {
            MeterError::NotFinite { place, loss } => {
                let gradients = last.filter(|(here, _)| *here == place).map(|(_, gradients)| gradients);
                let gradient = gradients.and_then(|gradients| largest_gradient(&self.slim, gradients));
                StepError::NotFinite { place, loss, gradient }
            }
            error => self.team.first_failure(&error.to_string()).into(),
        }
    }

    /// Model and masks, in validation mode.
    pub(crate) fn slim(&self) -> Slim<M> {
        self.slim.valid()
    }

    /// Their running average, in validation mode.
    pub(crate) fn average(&self) -> Option<&Slim<M>> {
        self.average.as_ref().map(Ema::average)
    }

    pub(super) fn optimizer(&self) -> &ModuleOptimizer {
        &self.optimizer
    }

    pub(super) fn steps(&self) -> usize {
        self.steps
    }

    /// The mean loss of the epoch so far, over the steps that were read.
    pub(super) fn loss(&self) -> Option<f64> {
        self.meter.loss()
    }

    /// What the steps since the last line measured, over those that were read.
    pub(crate) fn take_line(&mut self) -> Values {
        let means = self.meter.take_line();
        self.with_learning_rate(means)
    }

    /// What the steps of the epoch measured, over those that were read. Starts a new epoch.
    pub(super) fn take_epoch(&mut self) -> Values {
        let means = self.meter.take_epoch();
        self.with_learning_rate(means)
    }

    fn with_learning_rate(&self, mut means: Values) -> Values {
        if self.slim.masks.is_empty() {
            means.remove("penalty");
        }
        means.extend([value("learning_rate", self.learning_rate)]);
        means
    }
}

/// The parameter of `module` with the largest absolute gradient, or the first with one that is NaN.
fn largest_gradient<M: Module>(module: &M, gradients: &GradientsParams) -> Option<(String, f64)> {
    let mut largest = Largest { gradients, path: Vec::new(), found: None };
    module.visit(&mut largest);
    largest.found
}

struct Largest<'a> {
    gradients: &'a GradientsParams,
    path: Vec<String>,
    found: Option<(String, f64)>,
}

impl ModuleVisitor for Largest<'_> {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let Some(gradient) = self.gradients.get::<D>(param.id) else { return };
        if gradient.shape().num_elements() == 0 {
            return;
        }
        let Ok(size) = gradient.abs().max().try_into_scalar::<f64>() else { return };
        let known = self.found.as_ref().map(|(_, known)| *known);
        if known.is_none_or(|known| !known.is_nan() && (size.is_nan() || size > known)) {
            self.found = Some((self.path.join("."), size));
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;
    use crate::models::Vit;
    use crate::train::fixture::{batch, training, vit};

    fn settings<'a>(training: &'a Training, masks: &'a Masks, devices: &'a Devices) -> TrainerSettings<'a> {
        TrainerSettings {
            training,
            masks,
            freeze: None,
            dense: None,
            teacher: None,
            precision: Precision::F32,
            devices,
            steps: 10,
            image: ImageShape { channels: 1, size: 8 },
            read_every: 4,
        }
    }

    fn trainer(slim: Slim<Vit>, text: &str) -> Trainer<Vit> {
        let devices = Devices::one("cpu", Device::flex());
        Trainer::new(slim, settings(&training(text), &Masks::default(), &devices)).unwrap()
    }

    /// As on a device that computes asynchronously: losses are read after four steps.
    fn later(mut trainer: Trainer<Vit>) -> Trainer<Vit> {
        trainer.meter = Meter::new(4);
        trainer
    }

    fn values(slim: &Slim<Vit>) -> Vec<(String, Vec<f32>)> {
        struct Of(Vec<String>, Vec<(String, Vec<f32>)>);
        impl ModuleVisitor for Of {
            fn enter_module(&mut self, name: &str, _: &str) {
                self.0.push(name.to_owned());
            }
            fn exit_module(&mut self, _: &str, _: &str) {
                self.0.pop();
            }
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.1.push((self.0.join("."), param.val().into_data().try_into_vec().unwrap()));
            }
        }
        let mut values = Of(Vec::new(), Vec::new());
        slim.visit(&mut values);
        values.1
    }

    fn at(step: usize) -> Batch {
        Batch { step, ..batch(6) }
    }

    #[test]
    fn ten_steps_wait_for_the_device_as_often_as_their_losses_are_read() {
        let trainer = later(trainer(vit(), ""));
        let mut trainer = (1..=10).fold(trainer, |trainer, step| trainer.step(at(step)).unwrap());
        assert_eq!(trainer.meter.reads(), 2);
        trainer.read().unwrap();
        assert_eq!((trainer.meter.reads(), trainer.steps()), (3, 10));
    }

    #[test]
    fn when_losses_are_read_changes_no_weight_and_no_mean() {
        let batches: Vec<_> = (1..=6).map(at).collect();
        let end = |trainer: Trainer<Vit>| {
            let mut trainer =
                batches.iter().fold(trainer, |trainer, batch| trainer.step(batch.clone()).unwrap());
            trainer.read().unwrap();
            (values(&trainer.slim()), trainer.take_epoch())
        };
        let slim = vit();
        assert_eq!(end(trainer(slim.clone(), "")), end(later(trainer(slim, ""))));
    }

    #[test]
    fn a_loss_that_is_not_finite_is_told_with_its_step_whenever_it_is_read() {
        let second_of_four = |trainer: Trainer<Vit>| {
            let batch = |step| match step {
                2 => Batch { images: at(2).images * f32::INFINITY, ..at(2) },
                step => at(step),
            };
            let steps = (1..=4)
                .try_fold(trainer, |trainer, step| trainer.step(batch(step)).map_err(|error| (step, error)));
            match steps.err().expect("all steps went well") {
                (step, StepError::NotFinite { place, gradient, .. }) => {
                    assert_eq!((place.epoch, place.step, place.learning_rate), (1, 2, 0.1));
                    (step, gradient.is_some())
                }
                (_, error) => panic!("{error}"),
            }
        };
        assert_eq!(second_of_four(trainer(vit(), "schedule: Constant,")), (2, true));
        // The fourth step reads, and its gradients say nothing of the second.
        assert_eq!(second_of_four(later(trainer(vit(), "schedule: Constant,"))), (4, false));
    }

    #[test]
    fn a_step_of_a_search_in_bf16_moves_every_parameter_and_mask_which_stay_f32() {
        let (slim, batch) = (vit(), at(1));
        let (training, masks) = (training(""), Masks::default());
        let devices = Devices::one("cpu", Device::flex());
        let after = |precision| {
            let settings = TrainerSettings { precision, ..settings(&training, &masks, &devices) };
            let trainer = Trainer::new(slim.clone(), settings).unwrap().step(batch.clone()).unwrap();
            (values(&trainer.slim()), trainer.optimizer().to_record().into_bytes().unwrap().len())
        };
        let (exact, _) = after(Precision::F32);
        // Values of another width could not be read as f32.
        let (moved, moments) = after(Precision::Bf16);
        for ((path, before), (_, after)) in values(&slim).iter().zip(&moved) {
            assert!(before != after, "{path} did not move");
        }
        assert!(moved != exact, "the step was in f32");
        // Two moments of four bytes for each value.
        let count: usize = moved.iter().map(|(_, values)| values.len()).sum();
        assert!(moments > 2 * 4 * count, "{moments} bytes for {count} values");
    }

    #[test]
    fn gradients_are_clipped() {
        let (slim, batch) = (vit(), at(1));
        let moved = |clip: &str| {
            let trainer = trainer(slim.clone(), clip).step(batch.clone()).unwrap();
            values(&trainer.slim())
        };
        assert_eq!(moved("clip: 1e6,"), moved(""));
        // So small that the epsilon of AdamW shows.
        assert_ne!(moved("clip: 1e-9,"), moved(""));
    }
}
