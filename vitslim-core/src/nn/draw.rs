//! The random draws of layers in training.
//!
//! A burn device has one generator for the whole process. Here, each draw is seeded by the part of the batch that it is for, so
//! that a part draws the same on any device, whatever other devices do at the same time.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Distribution, Shape, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

thread_local! {
    /// Seeds of the draws of this thread.
    static SEEDS: RefCell<Option<ChaCha8Rng>> = const { RefCell::new(None) };
}

/// Runs `work`, whose layers draw by `seed` on `device`. Draws that do not come from our layers are seeded only once, at its
/// start.
pub(crate) fn seeded<T>(seed: u64, device: &Device, work: impl FnOnce() -> T) -> T {
    let seeds = Draws(Some(ChaCha8Rng::seed_from_u64(seed)));
    {
        let _turn = turn();
        device.seed(seed);
    }
    seeds.again(work)
}

/// What the layers of this thread draw from here on.
pub(super) struct Draws(Option<ChaCha8Rng>);

impl Draws {
    pub(super) fn current() -> Self {
        Self(SEEDS.with_borrow(Clone::clone))
    }

    /// Runs `work`, whose layers draw this.
    pub(super) fn again<T>(self, work: impl FnOnce() -> T) -> T {
        let _before = Restore(SEEDS.replace(self.0));
        work()
    }
}

/// Restores the seeds before, also when `work` panics: the thread may do other work afterwards.
struct Restore(Option<ChaCha8Rng>);

impl Drop for Restore {
    fn drop(&mut self) {
        SEEDS.set(self.0.take());
    }
}

/// A tensor of random values, by the seed of this thread's work if it has one.
pub(super) fn random<const D: usize>(shape: Shape, distribution: Distribution, device: &Device) -> Tensor<D> {
    let seed = SEEDS.with_borrow_mut(|seeds| seeds.as_mut().map(Rng::next_u64));
    let _turn = turn();
    if let Some(seed) = seed {
        device.seed(seed);
    }
    Tensor::random(shape, distribution, device)
}

/// Held from seeding to drawing, so that no other thread seeds the generator, or draws from it, in between.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
