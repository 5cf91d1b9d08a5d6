//! A training taken step by step, as the learner takes it.

use burn::module::Module;
use burn::optim::ModuleOptimizer;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLearningRate;
use burn::tensor::Device;
use burn::train::TrainStep;

use super::TrainError;
use super::evaluate::EvaluateError;
use super::memory::catch_out_of_memory;
use super::optimizer::{optimizer, scheduler};
use super::step::{StepSettings, Trainee};
use super::watch::Watch;
use crate::data::Batch;
use crate::device::near;
use crate::experiment::{Masks, Training};
use crate::models::Architecture;
use crate::nn::Precision;
use crate::slim::Slim;

/// A training whose steps can be taken one at a time, at the learning rate of the first.
pub struct Stepper<M: Module> {
    /// Taken out while a step changes it.
    trainee: Option<Trainee<M>>,
    optimizer: ModuleOptimizer,
    rates: ModuleLearningRate,
}

impl<M: Architecture> Stepper<M> {
    /// Trains `slim`, which is in validation mode, on `device` in `precision`.
    ///
    /// # Errors
    ///
    /// When burn refuses the settings.
    pub fn new(
        slim: Slim<M>,
        training: &Training,
        masks: &Masks,
        precision: Precision,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let device = device.clone().autodiff();
        let trainee = Trainee::new(slim, StepSettings::new(training, precision), Watch::default());
        Ok(Self {
            trainee: Some(trainee.train().fork(&device)),
            optimizer: optimizer(training, masks)?,
            rates: scheduler(training, masks, 1, &[])?.step(),
        })
    }

    /// A whole step: forward, backward and update. It has ended, on the device too, when this returns.
    ///
    /// # Errors
    ///
    /// When the loss is not finite or the device fails.
    pub fn step(&mut self, batch: Batch) -> Result<(), EvaluateError> {
        let Some(trainee) = self.trainee.take() else { return Ok(()) };
        let (device, images) = (batch.images.device(), batch.len());
        let step = || {
            let output = TrainStep::step(&trainee, batch);
            (trainee.optimize(&mut self.optimizer, self.rates.clone(), output.grads), output.item)
        };
        let (trainee, output) =
            catch_out_of_memory(|| near(&device, step)).map_err(|_| EvaluateError::OutOfMemory(images))?;
        self.trainee = Some(trainee);
        let loss = output.loss().map_err(|error| EvaluateError::device(error, images))?;
        device.sync().map_err(|error| EvaluateError::device(error, images))?;
        if loss.is_finite() { Ok(()) } else { Err(EvaluateError::NotFinite) }
    }
}
