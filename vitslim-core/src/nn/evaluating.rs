//! Forward passes that have gradients and do not train.

use std::cell::Cell;

use burn::tensor::Device;

thread_local! {
    static EVALUATES: Cell<bool> = const { Cell::new(false) };
}

/// Runs `forward`, in which the layers of this thread compute as they do in evaluation, on an autodiff device too.
pub(crate) fn evaluating<T>(forward: impl FnOnce() -> T) -> T {
    /// Restores what was before, also when a forward pass panics.
    struct Restore(bool);

    impl Drop for Restore {
        fn drop(&mut self) {
            EVALUATES.set(self.0);
        }
    }

    let _before = Restore(EVALUATES.replace(true));
    forward()
}

/// Whether a layer whose input is on `device` trains.
pub(super) fn is_training(device: &Device) -> bool {
    device.is_autodiff() && !EVALUATES.get()
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Int, Tensor};

    use super::super::{BatchNorm, BatchNormConfig, DropPath, Dropout};
    use super::*;

    #[test]
    fn layers_that_train_otherwise_compute_as_in_evaluation() {
        let device = Device::flex();
        let values = |x: Tensor<3>| x.into_data().try_into_vec::<f32>().unwrap();
        let forward = |norm: &BatchNorm, x: Tensor<3>| {
            values(norm.forward(DropPath::new(0.5).forward(Dropout::new(0.5).forward(x))))
        };
        let norm = BatchNormConfig::new(8).init(&device);
        let x = Tensor::<1, Int>::arange(0..64, &device).float().reshape([4, 8, 2]);
        let expected = forward(&norm, x.clone());
        let (norm, x) = (norm.train(), Tensor::from_inner(x));
        assert_eq!(evaluating(|| forward(&norm, x.clone())), expected);
        assert_eq!(norm.running_mean.value().into_data().try_into_vec::<f32>().unwrap(), [0.0; 8]);
        assert_ne!(forward(&norm, x), expected);
    }
}
