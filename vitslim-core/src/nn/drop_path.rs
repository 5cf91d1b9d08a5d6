use burn::module::Module;
use burn::tensor::{Distribution, Tensor};

use super::draw::random;
use super::evaluating::is_training;

/// Stochastic depth (Huang et al. 2016; per sample, as timm's `DropPath`): in training, a sample skips the branch with
/// probability `rate`, and a branch that stays is divided by `1 - rate`.
#[derive(Module, Debug)]
pub struct DropPath {
    /// Probability of skipping the branch, at least 0 and below 1.
    pub rate: f64,
}

impl DropPath {
    /// Skips the branch with probability `rate`.
    pub fn new(rate: f64) -> Self {
        Self { rate }
    }

    /// # Shapes
    ///
    /// - branch, output: `[batch, ...]`
    pub fn forward<const D: usize>(&self, branch: Tensor<D>) -> Tensor<D> {
        match self.keep(&branch) {
            Some(keep) => branch * by_sample(keep),
            None => branch,
        }
    }

    /// The factor of each sample of the branch, `[batch]`; `None` if it has none.
    pub(super) fn keep<const D: usize>(&self, branch: &Tensor<D>) -> Option<Tensor<1>> {
        let (stay, device) = (1.0 - self.rate, branch.device());
        let draws = self.rate > 0.0 && is_training(&device);
        let drawn = || random([branch.dims()[0]].into(), Distribution::Bernoulli(stay), &device) / stay;
        draws.then(|| drawn().cast(branch.dtype()))
    }
}

/// `[batch]` as `[batch, 1, ...]`.
pub(super) fn by_sample<const D: usize>(factors: Tensor<1>) -> Tensor<D> {
    let mut shape = [1; D];
    [shape[0]] = factors.dims();
    factors.reshape(shape)
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    #[test]
    fn whole_samples_are_dropped_and_the_mean_stays() {
        let training = Device::flex().autodiff();
        let branch = Tensor::<3>::ones([4000, 2, 3], &training);
        let values: Vec<f32> = DropPath::new(0.25).forward(branch).into_data().try_into_vec().unwrap();
        let samples: Vec<_> = values.chunks(6).collect();
        assert!(samples.iter().all(|sample| sample.iter().all(|value| *value == sample[0])));
        assert!(values.iter().all(|value| *value == 0.0 || (value - 4.0 / 3.0).abs() < 1e-6));
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        assert!((mean - 1.0).abs() < 0.05, "{mean}");
    }

    #[test]
    fn nothing_is_dropped_outside_training() {
        let branch = Tensor::<3>::ones([50, 2, 3], &Device::flex());
        let values: Vec<f32> = DropPath::new(0.9).forward(branch).into_data().try_into_vec().unwrap();
        assert!(values.iter().all(|value| *value == 1.0));
    }
}
