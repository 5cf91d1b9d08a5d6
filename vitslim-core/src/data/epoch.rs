//! One pass over the images: which are in which batch, and who prepares it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use burn::tensor::Device;
use rayon::{ThreadPool, ThreadPoolBuilder};

use super::augment::Mixing;
use super::batch::{Batch, Mixed, Order};
use super::split::Seen;
use super::{DataError, Moment, Split};

/// Which images are in which batch.
#[derive(Debug)]
struct Batches {
    part: Arc<Split>,
    /// As [`Split::values`] takes them.
    indices: Vec<usize>,
    batch: usize,
    order: Order,
    epoch: usize,
}

impl Batches {
    fn new(part: Arc<Split>, batch: usize, order: Order, epoch: usize) -> Self {
        let mut indices: Vec<usize> = (0..part.len()).collect();
        if let Order::Shuffled { seed, stage } = order {
            part.shuffle(&mut indices, &mut Moment { seed, stage, epoch, step: 0 }.generator());
            indices = repeated(&indices, part.repeats());
        }
        Self { part, indices, batch, order, epoch }
    }

    fn len(&self) -> usize {
        self.order.batches(self.indices.len(), self.batch)
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

    /// What is seen of the images of a step.
    fn values(&self, step: usize) -> Prepared {
        self.part.values(self.indices(step), self.moment(step))
    }
}

/// The first of `indices`, each with its copies behind it, so that there are as many as before: the order of DeiT's `RASampler` in one
/// process.
fn repeated(indices: &[usize], repeats: usize) -> Vec<usize> {
    let copies = |&index: &usize| (0..repeats).map(move |copy| index + copy * indices.len());
    indices.iter().flat_map(copies).take(indices.len()).collect()
}

/// The batches of an epoch, in order.
#[derive(Debug)]
pub struct Epoch {
    batches: Arc<Batches>,
    device: Device,
    threads: Threads,
    steps_done: usize,
    /// Whether a batch has images.
    found: bool,
    failed: bool,
}

impl Epoch {
    pub(super) fn new(
        part: Arc<Split>,
        batch: usize,
        order: Order,
        epoch: usize,
        threads: usize,
        device: Device,
    ) -> Self {
        let batches = Arc::new(Batches::new(part, batch, order, epoch));
        let threads = Threads::start(&batches, threads);
        Self { batches, device, threads, steps_done: 0, found: false, failed: false }
    }

    /// The batch of a step; `None` if it has no image that can be read, but is to be passed over.
    fn batch(&self, step: usize) -> Result<Option<Batch>, DataError> {
        let Batches { part, epoch, .. } = &*self.batches;
        // A thread that could not be started, or broke off, has prepared nothing.
        let seen = self.threads.values(step).unwrap_or_else(|| self.batches.values(step))?;
        // Here, in the order of the batches: the threads prepare them in any.
        let (Seen { values, indices, .. }, first) = part.leave_out(seen)?;
        if let Some(flawed) = first.filter(|_| indices.is_empty()) {
            let is_last = step == self.batches.len();
            return match self.batches.order {
                // All that follows, from the learning rate on, counts the steps.
                Order::Shuffled { .. } => Err(flawed.alone("no other image of its batch can be read")),
                Order::AsIs if is_last && !self.found => {
                    Err(flawed.alone("no other image of its split can be read"))
                }
                Order::AsIs => Ok(None),
            };
        }
        let mixed = part.mixing(self.batches.moment(step)).map(|Mixing { share, .. }| {
            let reversed: Vec<usize> = indices.iter().rev().copied().collect();
            Mixed { labels: part.labels(&reversed, &self.device), share }
        });
        Ok(Some(Batch {
            images: part.tensor(values, &self.device),
            labels: part.labels(&indices, &self.device),
            mixed,
            epoch: *epoch,
            step,
            seed: self.batches.moment(step).map_or(0, Moment::device_seed),
        }))
    }
}

impl Iterator for Epoch {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed && self.steps_done < self.batches.len() {
            self.steps_done += 1;
            let batch = self.batch(self.steps_done).transpose();
            self.failed = batch.as_ref().is_some_and(Result::is_err);
            if batch.is_some() {
                self.found = true;
                return batch;
            }
        }
        None
    }
}

/// Batches that are prepared at once: threads that find no image left in one go on with the other.
const AT_ONCE: usize = 2;

/// Threads that prepare batches ahead. They share the images of a batch, so that no more batches are in memory the more threads there
/// are. One queue has the steps 1, 3, 5 and so on, the other 2, 4, ...: whoever asks in turn gets them in order. Dropping it ends them.
#[derive(Debug)]
struct Threads {
    queues: Vec<Receiver<Prepared>>,
    handles: Vec<JoinHandle<()>>,
}

/// What is seen of the images of a batch, or why nothing is.
type Prepared = Result<Seen, DataError>;

impl Threads {
    fn start(batches: &Arc<Batches>, threads: usize) -> Self {
        let mut started = Self { queues: Vec::new(), handles: Vec::new() };
        if threads == 0 {
            return started;
        }
        let pool =
            ThreadPoolBuilder::new().num_threads(threads).thread_name(|thread| format!("loader-{thread}"));
        // Of threads that cannot be started, the queue is closed, and whoever asks prepares the batch.
        let Ok(pool) = pool.build().map(Arc::new) else { return started };
        for first in 1..=AT_ONCE.min(batches.len()) {
            // One batch lies ready while the next is made.
            let (sender, queue) = sync_channel(1);
            started.queues.push(queue);
            let (batches, pool) = (batches.clone(), pool.clone());
            let work = move || prepare(&batches, &pool, (first..=batches.len()).step_by(AT_ONCE), &sender);
            started.handles.extend(Builder::new().name(format!("loader of {first}")).spawn(work));
        }
        started
    }

    /// Waits for the values of a step; `None` where no thread prepares it.
    fn values(&self, step: usize) -> Option<Prepared> {
        let queues = self.queues.len();
        if queues == 0 { None } else { self.queues[(step - 1) % queues].recv().ok() }
    }
}

fn prepare(
    batches: &Batches,
    pool: &ThreadPool,
    steps: impl Iterator<Item = usize>,
    sender: &SyncSender<Prepared>,
) {
    for step in steps {
        let values = pool.install(|| batches.values(step));
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
            // What one that broke off did not prepare, `values` was not given.
            let _ = handle.join();
        }
    }
}
