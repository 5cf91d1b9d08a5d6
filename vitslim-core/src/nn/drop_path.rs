use burn::module::Module;
use burn::tensor::{Distribution, Tensor};

/// Stochastic depth (Huang et al. 2016, per sample as in timm's `DropPath`): while training, a sample skips the branch
/// with probability `rate`, and the branches that stay are divided by `1 - rate`.
#[derive(Module, Debug)]
pub struct DropPath {
    /// Probability of skipping the branch, at least 0 and below 1.
    pub rate: f64,
}

impl DropPath {
    /// Drops with probability `rate`.
    pub fn new(rate: f64) -> Self {
        Self { rate }
    }

    /// # Shapes
    ///
    /// - branch, output: `[batch, tokens, dim]`
    pub fn forward(&self, branch: Tensor<3>) -> Tensor<3> {
        let device = branch.device();
        if self.rate == 0.0 || !device.is_autodiff() {
            return branch;
        }
        let stay = 1.0 - self.rate;
        let drawn = Tensor::random([branch.dims()[0], 1, 1], Distribution::Bernoulli(stay), &device);
        branch * (drawn / stay)
    }
}
