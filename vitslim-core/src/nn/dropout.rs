use burn::module::Module;
use burn::tensor::{Distribution, Tensor};

use super::as_trained::is_as_trained;
use super::draw::random;
use super::evaluating::is_training;

/// Dropout (Srivastava et al. 2014): in training, a value is set to 0 with probability `prob`, and a value that stays is
/// divided by `1 - prob`.
///
/// Burn's own draws from a generator that all devices share, so that training on several devices is not reproducible with it.
#[derive(Module, Debug)]
pub struct Dropout {
    /// Probability of setting a value to 0, at least 0 and below 1.
    pub prob: f64,
}

impl Dropout {
    /// Sets values to 0 with probability `prob`.
    pub fn new(prob: f64) -> Self {
        Self { prob }
    }

    /// # Shapes
    ///
    /// - x, output: any
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let (device, stay) = (x.device(), 1.0 - self.prob);
        if self.prob == 0.0 || !(is_training(&device) || is_as_trained()) {
            return x;
        }
        let drawn = match is_as_trained() {
            // Nothing is drawn where nothing is computed.
            true => Tensor::ones(x.shape(), &device),
            false => random(x.shape(), Distribution::Bernoulli(stay), &device),
        };
        x * drawn / stay
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn single_values_are_dropped_and_the_mean_stays() {
        let x = Tensor::<2>::ones([100, 100], &Device::flex().autodiff());
        let values: Vec<f32> = Dropout::new(0.2).forward(x).into_data().try_into_vec().unwrap();
        assert!(values.iter().all(|value| *value == 0.0 || (value - 1.25).abs() < 1e-6));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn nothing_is_dropped_outside_training() {
        let x = Tensor::<2>::ones([10, 10], &Device::flex());
        let values: Vec<f32> = Dropout::new(0.9).forward(x).into_data().try_into_vec().unwrap();
        assert!(values.iter().all(|value| *value == 1.0));
    }
}
