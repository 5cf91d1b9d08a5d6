//! What layers draw at random while a network is trained.
//!
//! The generator of a burn device is one for the whole process. Here each draw is seeded by the part of a batch that it is
//! for, so that a part draws the same whichever device computes it, and whatever other devices do at the same time.

use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::{Device, Distribution, Shape, Tensor};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

thread_local! {
    /// Seeds of what is drawn in this thread.
    static SEEDS: RefCell<Option<ChaCha8Rng>> = const { RefCell::new(None) };
}

/// Does `work`, whose layers draw by `seed` on `device`. What is drawn in other ways is seeded too, but only at the beginning.
pub(crate) fn seeded<T>(seed: u64, device: &Device, work: impl FnOnce() -> T) -> T {
    SEEDS.set(Some(ChaCha8Rng::seed_from_u64(seed)));
    {
        let _turn = turn();
        device.seed(seed);
    }
    let _seeds = Forget;
    work()
}

/// Takes the seeds away, also when `work` panics: the thread may do other work after it.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        SEEDS.set(None);
    }
}

/// A tensor of random values, by the seed of the work that this thread does, if it has one.
pub(super) fn random<const D: usize>(shape: Shape, distribution: Distribution, device: &Device) -> Tensor<D> {
    let seed = SEEDS.with_borrow_mut(|seeds| seeds.as_mut().map(Rng::next_u64));
    let Some(seed) = seed else { return Tensor::random(shape, distribution, device) };
    let _turn = turn();
    device.seed(seed);
    Tensor::random(shape, distribution, device)
}

/// Nobody seeds the generator between another's seed and draw.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}
