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
        let mut generator = self.generator();
        generator.set_stream(1);
        generator
    }
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
