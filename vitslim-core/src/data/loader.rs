//! Batches for the learner.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use burn::data::dataloader::{DataLoader, DataLoaderIterator};
use burn::tensor::{Device, Int, Tensor};

use super::epoch::{Epoch, Plan};
use super::{Split, Stage};

/// Threads that read the images of a folder ahead, unless a loader is told otherwise.
const FOLDER_THREADS: usize = 2;

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
    /// By which dropout and stochastic depth draw.
    pub seed: u64,
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// The batch, moved to `device`.
    #[must_use]
    pub fn moved_to(self, device: &Device) -> Self {
        let Self { images, labels, .. } = &self;
        let (images, labels) = (images.clone().to_device(device), labels.clone().to_device(device));
        Self { images, labels, ..self }
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The batch in at most `parts` parts that are as good as equal, none of them empty. They have its epoch and step; the
    /// first has its seed, each of the others one of its own.
    pub fn parts(self, parts: usize) -> impl Iterator<Item = Self> {
        let images = self.len();
        let size = images.div_ceil(parts.max(1)).max(1);
        (0..images).step_by(size).map(move |first| {
            let size = size.min(images - first);
            Self {
                images: self.images.clone().narrow(0, first, size),
                labels: self.labels.clone().narrow(0, first, size),
                seed: self.seed.wrapping_add(first as u64),
                ..self.clone()
            }
        })
    }
}

/// In which order a loader goes through its images.
#[derive(Clone, Copy, Debug)]
pub enum Order {
    /// As they lie.
    AsIs,
    /// To train: shuffled anew each epoch, by seed, stage and epoch, and augmented as the part says.
    Shuffled {
        /// Seed of the experiment.
        seed: u64,
        /// Stage.
        stage: Stage,
    },
}

/// Batches of a part of a dataset. The last one has what is left.
///
/// A batch depends on seed, stage, epoch and step alone: it is the same for any number of threads.
#[derive(Debug)]
pub struct Loader {
    part: Arc<Split>,
    range: Range<usize>,
    batch: usize,
    order: Order,
    device: Device,
    threads: usize,
    epochs_begun: AtomicUsize,
}

impl Loader {
    /// Batches of at most `batch` images of `part`, at least 1.
    ///
    /// Images in memory are prepared when a batch is asked for, those of a folder ahead of it by two threads.
    pub fn new(part: Arc<Split>, batch: usize, order: Order, device: Device) -> Self {
        let range = 0..part.len();
        let threads = if part.reads_files() { FOLDER_THREADS } else { 0 };
        Self { part, range, batch, order, device, threads, epochs_begun: AtomicUsize::new(0) }
    }

    /// Prepares batches ahead in so many threads, each up to two batches; with 0 when a batch is asked for.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// The loader after its first `epochs` epochs.
    #[must_use]
    pub fn after(self, epochs: usize) -> Self {
        Self { epochs_begun: AtomicUsize::new(epochs), ..self }
    }

    /// Number of batches of an epoch.
    pub fn batches(&self) -> usize {
        self.range.len().div_ceil(self.batch)
    }

    fn with(&self, range: Range<usize>, device: Device) -> Arc<dyn DataLoader<Batch>> {
        let epochs_begun = AtomicUsize::new(self.epochs_begun.load(Ordering::SeqCst));
        let Self { part, batch, order, threads, .. } = self;
        Arc::new(Self {
            part: part.clone(),
            range,
            batch: *batch,
            order: *order,
            device,
            threads: *threads,
            epochs_begun,
        })
    }
}

impl DataLoader<Batch> for Loader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        let epoch = self.epochs_begun.fetch_add(1, Ordering::SeqCst) + 1;
        let plan = Plan::new(self.part.clone(), self.range.clone(), self.batch, self.order, epoch);
        Box::new(Epoch::begin(plan, self.threads, self.device.clone()))
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
