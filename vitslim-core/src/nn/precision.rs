use std::cell::Cell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What matrix products are computed in. Parameters, gradients, sums with a bias, norms, activations, softmax and loss are f32
/// whatever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Precision {
    /// f32. On CUDA burn rounds factors to TF32 where that is faster, and has no switch for it.
    #[default]
    F32,
    /// f32 with factors that may be rounded to TF32: what `F32` is on CUDA. There is none on the CPU.
    Tf32,
    /// Factors and products rounded to bf16, and summed in f32. Layers of [`nn`](crate::nn) do it; Burn's own stay f32.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Runs `forward`, usually a forward pass, in this precision: the layers of [`nn`](crate::nn) that it calls in this
    /// thread multiply in it, as under PyTorch's `autocast`. The backward pass follows the forward pass, wherever it runs.
    ///
    /// It is set for a forward pass and not in the layers, so that it reaches every layer, annotated or not, and so that no
    /// weight is ever kept in less than f32.
    pub fn within<T>(self, forward: impl FnOnce() -> T) -> T {
        let _before = Restore(CURRENT.replace(self));
        forward()
    }

    /// The precision of the forward pass that this thread is in; `F32` outside of [`within`](Self::within). A layer of your
    /// own can follow it.
    pub fn current() -> Self {
        CURRENT.get()
    }
}

/// Puts the precision back, also when a forward pass panics.
struct Restore(Precision);

impl Drop for Restore {
    fn drop(&mut self) {
        CURRENT.set(self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_precision_holds_within_and_the_one_before_comes_back() {
        Precision::Bf16.within(|| {
            assert_eq!(Precision::current(), Precision::Bf16);
            Precision::F32.within(|| assert_eq!(Precision::current(), Precision::F32));
            assert_eq!(Precision::current(), Precision::Bf16);
            let elsewhere = std::thread::spawn(Precision::current).join().unwrap();
            assert_eq!(elsewhere, Precision::F32);
        });
        let panicked = std::panic::catch_unwind(|| Precision::Bf16.within(|| panic!("in a forward pass")));
        assert!(panicked.is_err());
        assert_eq!(Precision::current(), Precision::F32);
    }
}
