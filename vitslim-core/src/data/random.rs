//! Random generators. Each is seeded only by its place in the run, so that an epoch that starts again draws what it drew
//! before.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A stage of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Training the dense model.
    Pretrain,
    /// Training weights and masks under the penalty.
    Search,
    /// Training a sub-network.
    Retrain,
}

impl Stage {
    /// Its name in files and on the terminal.
    pub fn name(self) -> &'static str {
        match self {
            Self::Pretrain => "pretrain",
            Self::Search => "search",
            Self::Retrain => "retrain",
        }
    }
}

/// A moment of a run.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Seed of the experiment.
    pub seed: u64,
    /// Stage.
    pub stage: Stage,
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step within the epoch, from 1; 0 is the epoch as a whole.
    pub step: usize,
}

impl Moment {
    /// A generator for this moment alone.
    pub fn generator(self) -> ChaCha8Rng {
        generator([self.seed, self.stage as u64, self.epoch as u64, self.step as u64])
    }

    /// A seed for what has a generator of its own.
    pub fn device_seed(self) -> u64 {
        self.generator().next_u64()
    }

    /// The generator of this moment's augmentation: another stream of the same key, independent of what the device draws.
    pub fn augmentation(self) -> ChaCha8Rng {
        self.stream(1)
    }

    /// The generator of how the images of this moment's batch are mixed.
    pub(super) fn mixing(self) -> ChaCha8Rng {
        self.stream(2)
    }

    /// A generator for what is drawn of an `image` in this moment's epoch, whatever its batch and whatever else is drawn.
    pub(super) fn image(self, image: usize, draws: Draws) -> ChaCha8Rng {
        Self { step: image, ..self }.stream(draws as u64)
    }

    fn stream(self, number: u64) -> ChaCha8Rng {
        let mut generator = self.generator();
        generator.set_stream(number);
        generator
    }
}

/// What is drawn of an image, each in a stream of its own, after those of a moment.
#[derive(Clone, Copy, Debug)]
pub(super) enum Draws {
    /// Which part of it is seen.
    Crop = 3,
    /// What is done to it.
    Operations = 4,
    /// What is erased of it.
    Erasing = 5,
}

/// A draw that is made once for a dataset, before any stage.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    /// Which images are held out.
    HeldOut,
    /// Which images the normalisation is computed from.
    Sample,
    /// The pixels and labels of random images.
    Noise,
}

impl Choice {
    /// A generator for this choice alone. No moment has its key, since stages are numbered from 0.
    pub(super) fn generator(self, seed: u64) -> ChaCha8Rng {
        generator([seed, u64::MAX, self as u64, 0])
    }
}

fn generator(place: [u64; 4]) -> ChaCha8Rng {
    let mut key = [0; 32];
    for (bytes, word) in key.chunks_exact_mut(8).zip(place) {
        bytes.copy_from_slice(&word.to_le_bytes());
    }
    ChaCha8Rng::from_seed(key)
}
