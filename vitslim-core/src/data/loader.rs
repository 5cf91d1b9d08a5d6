use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Int, Tensor};
use rand::seq::SliceRandom;

use super::{Moment, Part, Stage};

/// Images and labels of one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, channels, height, width]`
    pub images: Tensor<4>,
    /// `[batch]`
    pub labels: Tensor<1, Int>,
    /// Epoch of a training, from 1.
    pub epoch: usize,
    /// Step of that epoch, from 1.
    pub step: usize,
    /// What the device's generator is set to before the step, for dropout and stochastic depth.
    pub seed: u64,
}

/// In which order a loader goes through its images.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// As they lie.
    AsIs,
    /// Shuffled anew each epoch, by seed, stage and epoch.
    Shuffled {
        /// Seed of the experiment.
        seed: u64,
        /// Stage.
        stage: Stage,
    },
}

/// Batches of a part of a dataset. The last one has what is left.
#[derive(Debug)]
pub struct Loader {
    part: Arc<Part>,
    range: std::ops::Range<usize>,
    batch: usize,
    order: Order,
    device: Device,
    epochs_begun: AtomicUsize,
}

impl Loader {
    /// Batches of at most `batch` images of `part`.
    pub fn new(part: Arc<Part>, batch: usize, order: Order, device: Device) -> Self {
        let range = 0..part.len();
        Self { part, range, batch, order, device, epochs_begun: AtomicUsize::new(0) }
    }

    /// The loader after its first `epochs` epochs.
    pub fn after(self, epochs: usize) -> Self {
        Self { epochs_begun: AtomicUsize::new(epochs), ..self }
    }

    /// Number of batches of an epoch.
    pub fn batches(&self) -> usize {
        self.range.len().div_ceil(self.batch)
    }

    fn with(&self, range: std::ops::Range<usize>, device: Device) -> Arc<dyn DataLoader<Batch>> {
        let epochs_begun = AtomicUsize::new(self.epochs_begun.load(Ordering::SeqCst));
        let part = self.part.clone();
        Arc::new(Self { part, range, batch: self.batch, order: self.order, device, epochs_begun })
    }
}

impl DataLoader<Batch> for Loader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.epochs_begun.fetch_add(1, Ordering::SeqCst) + 1;
        let mut indices: Vec<usize> = self.range.clone().collect();
        if let Order::Shuffled { seed, stage } = self.order {
            indices.shuffle(&mut Moment { seed, stage, epoch, step: 0 }.generator());
        }
        Box::new(Epoch { loader: self, epoch, indices, done: 0 })
    }

    fn num_items(&self) -> usize {
        self.range.len()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.with(self.range.clone(), device.clone())
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        let first = self.range.start;
        self.with(first + start..first + end, self.device.clone())
    }
}

struct Epoch<'a> {
    loader: &'a Loader,
    epoch: usize,
    indices: Vec<usize>,
    done: usize,
}

impl Iterator for Epoch<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let Loader { part, device, batch, order, .. } = self.loader;
        let end = (self.done + batch).min(self.indices.len());
        let indices = &self.indices[self.done..end];
        if indices.is_empty() {
            return None;
        }
        let step = self.done / batch + 1;
        self.done = end;
        let seed = match *order {
            Order::AsIs => 0,
            Order::Shuffled { seed, stage } => Moment { seed, stage, epoch: self.epoch, step }.device_seed(),
        };
        let (images, labels) = (part.images(indices, device), part.labels(indices, device));
        Some(Ok(Batch { images, labels, epoch: self.epoch, step, seed }))
    }
}

impl DataLoaderIterator<Batch> for Epoch<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.indices.len(), Some("images".into()))
    }
}
