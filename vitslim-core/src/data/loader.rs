//! Batches of a part of a dataset, epoch by epoch.

use std::sync::Arc;

use burn::tensor::Device;

use super::Split;
use super::batch::Order;
use super::epoch::Epoch;

/// Batches of a part of a dataset. The last one of an epoch has what is left, but in training all are full. An image that cannot be read
/// is missing from its batch. A batch that then has none is passed over, but in training it is an error: a training counts its steps.
///
/// A batch depends on seed, stage, epoch and step alone: it is the same for any number of threads.
#[derive(Clone, Debug)]
pub struct Loader {
    part: Arc<Split>,
    batch: usize,
    order: Order,
    device: Device,
    threads: usize,
}

impl Loader {
    /// Batches of at most `batch` images of `part`, at least 1, on `device`.
    ///
    /// Images in memory are prepared when a batch is asked for, those in files ahead of it, in as many threads as compute.
    pub fn new(part: Arc<Split>, batch: usize, order: Order, device: Device) -> Self {
        let threads = if part.reads_files() { rayon::current_num_threads() } else { 0 };
        Self { part, batch, order, device, threads }
    }

    /// Prepares batches ahead, up to four, in so many threads; with 0 when a batch is asked for.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Threads that prepare batches ahead.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// Number of batches of an epoch.
    #[expect(clippy::len_without_is_empty, reason = "a part has images")]
    pub fn len(&self) -> usize {
        self.order.batches(self.part.len(), self.batch)
    }

    /// The batches of epoch number `epoch`, from 1, in order. One that cannot be read ends them, and so does a split without an image
    /// that can be read.
    pub fn epoch(&self, epoch: usize) -> Epoch {
        Epoch::new(self.part.clone(), self.batch, self.order, epoch, self.threads, self.device.clone())
    }
}
