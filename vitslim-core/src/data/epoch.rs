//! One pass over the images: which are in which batch, and who prepares it.

use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use rand::seq::SliceRandom;
use thiserror::Error;

use super::loader::{Batch, Order};
use super::{DataError, Moment, Split};

/// What the batches of an epoch are.
pub(super) struct Plan {
    part: Arc<Split>,
    indices: Vec<usize>,
    batch: usize,
    order: Order,
    epoch: usize,
}

impl Plan {
    /// The images `range` of `part`, `batch` at a time.
    pub(super) fn new(
        part: Arc<Split>,
        range: Range<usize>,
        batch: usize,
        order: Order,
        epoch: usize,
    ) -> Self {
        let mut indices: Vec<usize> = range.collect();
        if let Order::Shuffled { seed, stage } = order {
            indices.shuffle(&mut Moment { seed, stage, epoch, step: 0 }.generator());
        }
        Self { part, indices, batch, order, epoch }
    }

    fn batches(&self) -> usize {
        self.indices.len().div_ceil(self.batch)
    }

    /// Indices of the images of a step, from 1.
    fn indices(&self, step: usize) -> &[usize] {
        let first = (step - 1) * self.batch;
        &self.indices[first..self.indices.len().min(first + self.batch)]
    }

    /// The moment of a step of training.
    fn moment(&self, step: usize) -> Option<Moment> {
        match self.order {
            Order::AsIs => None,
            Order::Shuffled { seed, stage } => Some(Moment { seed, stage, epoch: self.epoch, step }),
        }
    }

    /// The normalised values of the images of a step.
    fn values(&self, step: usize) -> Result<Vec<f32>, DataError> {
        self.part.values(self.indices(step), self.moment(step).map(Moment::augmentation))
    }
}

/// The batches of a plan, in order.
pub(super) struct Epoch {
    plan: Arc<Plan>,
    device: Device,
    threads: Threads,
    steps_done: usize,
    failed: bool,
}

impl Epoch {
    pub(super) fn begin(plan: Plan, threads: usize, device: Device) -> Self {
        let plan = Arc::new(plan);
        let threads = Threads::start(&plan, threads.min(plan.batches()));
        Self { plan, device, threads, steps_done: 0, failed: false }
    }

    fn batch(&self, step: usize) -> Result<Batch, DatasetError> {
        let values = match self.threads.values(step) {
            Some(prepared) => prepared.map_err(DatasetError::new)?.map_err(DatasetError::new)?,
            None => self.plan.values(step).map_err(DatasetError::new)?,
        };
        Ok(Batch {
            images: self.plan.part.tensor(values, &self.device),
            labels: self.plan.part.labels(self.plan.indices(step), &self.device),
            epoch: self.plan.epoch,
            step,
            seed: self.plan.moment(step).map_or(0, Moment::device_seed),
        })
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed || self.steps_done == self.plan.batches() {
            return None;
        }
        self.steps_done += 1;
        let batch = self.batch(self.steps_done);
        self.failed = batch.is_err();
        Some(batch)
    }
}

impl DataLoaderIterator<Batch> for Epoch {
    fn progress(&self) -> Progress {
        let images = self.plan.indices.len();
        Progress::new(images.min(self.steps_done * self.plan.batch), images, Some("images".into()))
    }
}

/// Threads that prepare batches ahead. The first of `n` prepares the steps 1, `n + 1`, `2 n + 1` and so on, the next one 2, `n + 2`,
/// ...: whoever asks in turn gets them in order. Dropping it ends them.
struct Threads {
    queues: Vec<Receiver<Prepared>>,
    handles: Vec<JoinHandle<()>>,
}

/// The values of a batch, or why there are none.
type Prepared = Result<Vec<f32>, DataError>;

#[derive(Debug, Error)]
#[error("a thread that prepares batches could not be started, or broke off")]
struct BrokenOff;

impl Threads {
    fn start(plan: &Arc<Plan>, threads: usize) -> Self {
        let mut started = Self { queues: Vec::new(), handles: Vec::new() };
        for thread in 0..threads {
            // One batch lies ready while the next is made.
            let (sender, queue) = sync_channel(1);
            started.queues.push(queue);
            let plan = plan.clone();
            let work = move || prepare(&plan, (thread + 1..=plan.batches()).step_by(threads), &sender);
            // If it cannot be started, its queue is closed, and the first to ask is told so.
            started.handles.extend(Builder::new().name(format!("loader-{thread}")).spawn(work));
        }
        started
    }

    /// Waits for the values of a step, if there are threads to prepare it.
    fn values(&self, step: usize) -> Option<Result<Prepared, BrokenOff>> {
        if self.queues.is_empty() {
            return None;
        }
        Some(self.queues[(step - 1) % self.queues.len()].recv().map_err(|_| BrokenOff))
    }
}

fn prepare(plan: &Plan, steps: impl Iterator<Item = usize>, sender: &SyncSender<Prepared>) {
    for step in steps {
        let values = plan.values(step);
        let failed = values.is_err();
        // It fails when nobody will ask for more.
        if sender.send(values).is_err() || failed {
            return;
        }
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.queues.clear();
        for handle in self.handles.drain(..) {
            // One that broke off has been told of by `values`.
            let _ = handle.join();
        }
    }
}
