//! A batch of images, and the order in which they come.

use burn::tensor::{Device, Int, Tensor};

use super::Stage;

/// Images and labels of one step.
#[derive(Clone, Debug)]
pub struct Batch {
    /// `[batch, channels, height, width]`
    pub images: Tensor<4>,
    /// `[batch]`
    pub labels: Tensor<1, Int>,
    /// What else the images show, where they are mixed.
    pub mixed: Option<Mixed>,
    /// Epoch of a training, from 1.
    pub epoch: usize,
    /// Step of that epoch, from 1.
    pub step: usize,
    /// By which dropout and stochastic depth draw.
    pub seed: u64,
}

/// What was mixed into the images of a batch.
#[derive(Clone, Debug)]
pub struct Mixed {
    /// Labels of the images that were mixed in, `[batch]`.
    pub labels: Tensor<1, Int>,
    /// Share of each image's own label in its target; the rest is that of the label mixed in.
    pub share: f64,
}

impl Mixed {
    fn map(&self, change: impl FnOnce(Tensor<1, Int>) -> Tensor<1, Int>) -> Self {
        Self { labels: change(self.labels.clone()), share: self.share }
    }
}

impl Batch {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.dims()[0]
    }

    /// The batch, moved to `device`.
    #[must_use]
    pub fn moved_to(self, device: &Device) -> Self {
        let Self { images, labels, mixed, .. } = &self;
        let (images, labels) = (images.clone().to_device(device), labels.clone().to_device(device));
        let mixed = mixed.as_ref().map(|mixed| mixed.map(|labels| labels.to_device(device)));
        Self { images, labels, mixed, ..self }
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
                mixed: self.mixed.as_ref().map(|mixed| mixed.map(|labels| labels.narrow(0, first, size))),
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

impl Order {
    /// Number of batches of an epoch.
    pub(super) fn batches(self, images: usize, batch: usize) -> usize {
        match self {
            Self::AsIs => images.div_ceil(batch),
            Self::Shuffled { .. } => full_batches(images, batch),
        }
    }
}

/// Number of steps of an epoch of training, at least 1. Images that do not fill a batch wait for another epoch, as in timm: a step on
/// a few images moves the weights as far as any other, but in a worse direction.
pub fn full_batches(images: usize, batch: usize) -> usize {
    (images / batch).max(1)
}

/// Number of images that an epoch of training sees.
pub fn images_of_epoch(images: usize, batch: usize) -> usize {
    full_batches(images, batch) * batch.min(images)
}
