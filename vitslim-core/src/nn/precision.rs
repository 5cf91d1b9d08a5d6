use std::cell::Cell;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The precision of matrix products. Parameters, gradients, sums with a bias, norms, activations, softmax and loss are
/// always f32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Precision {
    /// f32. On CUDA, burn rounds factors to TF32 where that is faster, and cannot be told not to.
    #[default]
    F32,
    /// f32 whose factors may be rounded to TF32: the same as `F32` on CUDA. The CPU has no TF32.
    Tf32,
    /// Factors and products rounded to bf16, sums in f32. Only layers of [`nn`](crate::nn) do so; Burn's own stay f32.
    Bf16,
}

thread_local! {
    static CURRENT: Cell<Precision> = const { Cell::new(Precision::F32) };
}

impl Precision {
    /// Runs `forward`, usually a forward pass, in this precision, like PyTorch's `autocast`: the layers of [`nn`](crate::nn)
    /// that it calls on this thread multiply in it. The backward pass has the precision of the forward pass, wherever it
    /// runs.
    ///
    /// The precision is set for a forward pass and not in the layers, so that it applies to every layer, annotated or not, and
    /// weights always stay f32.
    pub fn within<T>(self, forward: impl FnOnce() -> T) -> T {
        let _before = Restore(CURRENT.replace(self));
        forward()
    }

    /// The precision of the current forward pass on this thread; `F32` outside of [`within`](Self::within). Layers of your
    /// own can ask for it.
    pub fn current() -> Self {
        CURRENT.get()
    }
}

/// Restores the previous precision, also when a forward pass panics.
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
