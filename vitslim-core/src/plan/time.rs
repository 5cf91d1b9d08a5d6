//! Estimates how long stages will take.

use std::collections::HashMap;
use std::time::Instant;

use burn::tensor::Device;

use crate::data::images_of_epoch;
use crate::experiment::{Masks, Training};
use crate::models::Architecture;
use crate::run::{Prepared, RunError, initial};
use crate::slim::Slim;
use crate::train::{Devices, EvaluateError, Trainer, TrainerSettings};

/// Measured steps, after one that warms up; the fastest counts.
const MEASURED: usize = 2;

/// The cost of a forward pass relative to a step. The backward pass costs twice as much; with checkpointing, it has a second forward pass.
pub(super) fn forward(training: &Training) -> f64 {
    if training.checkpointing { 1.0 / 4.0 } else { 1.0 / 3.0 }
}

/// Measured seconds of steps, by what they depend on.
pub(super) struct Times {
    device: Device,
    known: HashMap<String, f64>,
}

impl Times {
    pub(super) fn new(device: Device) -> Self {
        Self { device, known: HashMap::new() }
    }

    /// Seconds that the stage `training` of the dense network takes, with its validation.
    pub(super) fn of<A: Architecture>(
        &mut self,
        prepared: &Prepared<A>,
        training: &Training,
    ) -> Result<f64, RunError> {
        let experiment = &prepared.experiment;
        let (batch, parts) = (training.batch.get(), training.accumulate.get());
        let again = training.checkpointing;
        let key = format!("{} {batch} {parts} {again} {:?}", prepared.network(), experiment.precision);
        let seconds = match self.known.get(&key) {
            Some(seconds) => *seconds,
            None => {
                let seconds = step_seconds(prepared, training, &self.device)?;
                self.known.insert(key, seconds);
                seconds
            }
        };
        let an_image = seconds / batch as f64;
        let trained = images_of_epoch(prepared.data.train.len(), batch);
        let images = trained as f64 + forward(training) * prepared.data.held_out.len() as f64;
        Ok(training.epochs.get() as f64 * images * an_image)
    }
}

fn step_seconds<A: Architecture>(
    prepared: &Prepared<A>,
    training: &Training,
    device: &Device,
) -> Result<f64, RunError> {
    let experiment = &prepared.experiment;
    let model = initial(prepared, device).map_err(RunError::Config)?.valid();
    let settings = TrainerSettings {
        training,
        masks: &Masks::default(),
        freeze: None,
        dense: None,
        teacher: None,
        precision: experiment.precision,
        devices: &Devices::one("device", device.clone()),
        steps: 1,
        image: prepared.data.shape,
        read_every: 1,
    };
    let mut trainer = Trainer::new(Slim::dense(model), settings)?;
    let batch = prepared
        .first_batch(training.batch.get(), &device.clone().autodiff())
        .map_err(EvaluateError::from)?;
    trainer = trainer.timed_step(batch.clone())?;
    let mut fastest = f64::INFINITY;
    for _ in 0..MEASURED {
        let started = Instant::now();
        trainer = trainer.timed_step(batch.clone())?;
        fastest = fastest.min(started.elapsed().as_secs_f64());
    }
    Ok(fastest)
}
