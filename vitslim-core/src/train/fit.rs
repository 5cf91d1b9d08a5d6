//! The training loop: epochs of steps, each validated, recorded and saved.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use burn::data::dataloader::DataLoaderIterator;
use burn::module::Module;
use burn::train::metric::store::{Aggregate, EventStoreClient, Split};
use burn::train::{
    EventProcessorTraining, InferenceStep, Interrupter, Learner, LearnerEvent, SupervisedLearningStrategy,
    SupervisedTrainingEventProcessor, TrainLoader, TrainingComponents, TrainingItem, ValidLoader,
};

use super::TrainError;
use super::checkpoint::Checkpoints;
use super::ema::Ema;
use super::ending::is_complete;
use super::events::write_stage_events;
use super::mask_statistics::statistics;
use super::meter::Meter;
use super::parallel::{DeviceFailure, Team};
use super::record::{Entry, StageRecord, Values};
use super::step::{StepOutput, Trainee};
use crate::data::Batch;
use crate::device::near;
use crate::experiment::Training;
use crate::models::Architecture;

/// How a stage is trained. burn's own loop has no place for an average of the weights or for lines between epochs.
pub(super) struct Fit<M: Architecture> {
    pub(super) record: StageRecord,
    /// Of the run.
    pub(super) folder: PathBuf,
    pub(super) checkpoints: Checkpoints,
    pub(super) team: Team,
    pub(super) meter: Meter,
    /// Steps of an epoch.
    pub(super) steps: usize,
    /// Steps between two lines of the record.
    pub(super) log_every: usize,
    pub(super) training: Training,
    /// Seconds that the epochs before took.
    pub(super) seconds_before: f64,
    pub(super) started: Instant,
    pub(super) ema: Mutex<Option<Ema<Trainee<M>>>>,
    /// The first error, which ended the training.
    pub(super) failure: Mutex<Option<TrainError>>,
    /// Whether it validates, and does not train.
    pub(super) validates: AtomicBool,
}

type Batches<'a> = Box<dyn DataLoaderIterator<Batch> + 'a>;

impl<M: Architecture> SupervisedLearningStrategy<Trainee<M>> for Fit<M> {
    fn fit(
        &self,
        components: TrainingComponents<Trainee<M>>,
        learner: Learner<Trainee<M>>,
        train: TrainLoader<Trainee<M>>,
        held_out: ValidLoader<Trainee<M>>,
        first_epoch: usize,
    ) -> (Trainee<M>, SupervisedTrainingEventProcessor<Trainee<M>>) {
        let TrainingComponents { num_epochs, interrupter, event_store, mut checkpointer, .. } = components;
        let processor = components.event_processor;
        let mut session = Session { fit: self, learner, processor, interrupter, event_store };
        for epoch in first_epoch..=num_epochs {
            session.train(epoch, &train);
            if session.is_over() {
                break;
            }
            session.validate(epoch, &held_out);
            if session.is_over() {
                break;
            }
            // An epoch that is recorded is saved, whatever was asked meanwhile.
            if !session.record(epoch) {
                break;
            }
            if let Some(checkpointer) = &mut checkpointer {
                checkpointer.checkpoint(&session.learner, epoch, &session.event_store);
            }
            if session.is_over() || session.is_complete() {
                break;
            }
        }
        (session.learner.model(), session.processor)
    }
}

/// The training while it runs.
struct Session<'a, M: Architecture> {
    fit: &'a Fit<M>,
    learner: Learner<Trainee<M>>,
    processor: SupervisedTrainingEventProcessor<Trainee<M>>,
    interrupter: Interrupter,
    event_store: Arc<EventStoreClient>,
}

impl<M: Architecture> Session<'_, M> {
    fn is_over(&self) -> bool {
        self.interrupter.should_stop()
    }

    fn train(&mut self, epoch: usize, train: &TrainLoader<Trainee<M>>) {
        self.fit.validates.store(false, Ordering::Relaxed);
        self.tell_train(LearnerEvent::StartSplit { epoch_number: epoch, total_items: train.num_items() });
        let mut batches = train.iter();
        let mut step = (epoch - 1) * self.fit.steps;
        while let Some(batch) = self.next(&mut batches) {
            step += 1;
            let output = match self.step(batch, step) {
                Ok(Some(output)) => output,
                Ok(None) => break,
                Err(DeviceFailure { device, reason }) => {
                    self.stop(TrainError::Device { stage: self.fit.record.stage(), device, reason });
                    break;
                }
            };
            let rate = Some(self.learner.lr_current());
            let item = TrainingItem::new(output, batches.progress(), Some(step), rate);
            self.tell_train(LearnerEvent::ProcessedItem(item));
            if step.is_multiple_of(self.fit.log_every) {
                self.settle();
                let train = self.fit.meter.take_steps();
                self.append(epoch, Some(step), train, Values::new());
            }
        }
        self.tell_train(LearnerEvent::EndSplit(epoch));
    }

    /// What the step `step` of the stage gives, which changes the weights unless it ended the training.
    fn step(&mut self, batch: Batch, step: usize) -> Result<Option<StepOutput>, DeviceFailure> {
        let fit = self.fit;
        let output = fit.team.step(self.learner.model(), batch)?;
        if self.is_over() {
            return Ok(None);
        }
        self.learner.lr_step();
        fit.team.on_first(|| {
            self.learner.optimizer_step(output.grads);
            if let Some(ema) = fit.ema().as_mut() {
                ema.update(&self.learner.model().valid(), step);
            }
        })?;
        Ok(Some(output.item))
    }

    fn validate(&mut self, epoch: usize, held_out: &ValidLoader<Trainee<M>>) {
        self.fit.validates.store(true, Ordering::Relaxed);
        self.tell_valid(LearnerEvent::StartSplit { epoch_number: epoch, total_items: held_out.num_items() });
        let model = self.learner.model().valid();
        let average = self.fit.ema().as_ref().map(|ema| ema.average().clone());
        let mut batches = held_out.iter();
        let mut step = 0;
        while let Some(batch) = self.next(&mut batches) {
            step += 1;
            let device = batch.images.device();
            let (model, average) = (model.clone(), average.clone());
            let output = near(&device, move || {
                let average = average.map(|average| InferenceStep::step(&average, batch.clone()));
                InferenceStep::step(&model, batch).beside(average)
            });
            let item = TrainingItem::new(output, batches.progress(), Some(step), None);
            self.tell_valid(LearnerEvent::ProcessedItem(item));
        }
        self.tell_valid(LearnerEvent::EndSplit(epoch));
        self.tell_train(LearnerEvent::EndEpoch(epoch));
    }

    /// Saves what burn does not save, and writes the epoch's line: without both there is no such epoch. Whether it could.
    fn record(&mut self, epoch: usize) -> bool {
        let average = self.fit.ema().as_ref().map(|ema| ema.average().clone().into_record());
        if let Some(average) = average
            && let Err(error) = self.fit.checkpoints.save_average(epoch, average)
        {
            self.stop(self.fit.record.unsaved(self.fit.checkpoints.folder(), error));
            return false;
        }
        self.settle();
        let (train, held_out) = self.fit.meter.take_epoch();
        if !self.append(epoch, None, train, held_out) {
            return false;
        }
        match write_stage_events(&self.fit.folder, &self.fit.record) {
            Ok(()) => true,
            Err(error) => {
                self.stop(error);
                false
            }
        }
    }

    /// Whether it stops early; the last epoch ends it anyway.
    fn is_complete(&mut self) -> bool {
        if self.fit.training.early_stop.is_none() {
            return false;
        }
        match self.fit.record.epochs() {
            Ok(epochs) => is_complete(&epochs, &self.fit.training),
            Err(error) => {
                self.stop(self.fit.record.error(error));
                true
            }
        }
    }

    /// The next batch, unless there is none, it cannot be read, or the training is over.
    fn next(&mut self, batches: &mut Batches) -> Option<Batch> {
        if self.is_over() {
            return None;
        }
        match batches.next()? {
            Ok(batch) => Some(batch),
            Err(error) => {
                self.interrupter.fail(error);
                None
            }
        }
    }

    /// Writes a line. Whether it could.
    fn append(&mut self, epoch: usize, step: Option<usize>, train: Values, held_out: Values) -> bool {
        let seconds = self.fit.seconds_before + self.fit.started.elapsed().as_secs_f64();
        let masks = statistics(&self.learner.model().slim.masks.valid());
        match self.fit.record.append(Entry { epoch, step, seconds, train, held_out, masks }) {
            Ok(()) => true,
            Err(error) => {
                self.stop(self.fit.record.error(error));
                false
            }
        }
    }

    fn tell_train(&mut self, event: LearnerEvent<StepOutput>) {
        let told = self.processor.process_train(event);
        self.interrupter.fail_on_error(told);
    }

    fn tell_valid(&mut self, event: LearnerEvent<StepOutput>) {
        let told = self.processor.process_valid(event);
        self.interrupter.fail_on_error(told);
    }

    /// Waits until the meter has been told of all that happened: burn computes metrics in one thread and logs them in
    /// another.
    fn settle(&mut self) {
        let flushed = self.processor.flush();
        self.interrupter.fail_on_error(flushed);
        // An answer comes after all that was sent before; what it is does not matter.
        let _ = self.event_store.find_metric("Loss", 0, Aggregate::Mean, &Split::Train);
    }

    fn stop(&self, error: TrainError) {
        self.fit.failure.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.interrupter.stop(None);
    }
}

impl<M: Architecture> Fit<M> {
    fn ema(&self) -> MutexGuard<'_, Option<Ema<Trainee<M>>>> {
        self.ema.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
