use burn::config::Config;
use burn::module::{Module, Param};
use burn::tensor::{Device, Int, Tensor, module};

use super::RunningState;
use super::evaluating::is_training;
use crate::slim::{Output, SlimLayer, scale_param, select_param};

/// Configuration of a [`BatchNorm`].
#[derive(Config, Debug)]
pub struct BatchNormConfig {
    /// Number of channels.
    pub num_features: usize,
    /// Added to the variance. 1e-5 as in PyTorch.
    #[config(default = 1e-5)]
    pub epsilon: f64,
    /// Weight of a batch in the running statistics, from 0 to 1.
    #[config(default = 0.1)]
    pub momentum: f64,
}

impl BatchNormConfig {
    /// A norm with gamma 1, beta 0, running mean 0 and running variance 1.
    pub fn init(&self, device: &Device) -> BatchNorm {
        let channels = [self.num_features];
        BatchNorm {
            gamma: Param::from_tensor(Tensor::ones(channels, device)),
            beta: Param::from_tensor(Tensor::zeros(channels, device)),
            running_mean: RunningState::new(Tensor::zeros(channels, device)),
            running_var: RunningState::new(Tensor::ones(channels, device)),
            momentum: self.momentum,
            epsilon: self.epsilon,
        }
    }
}

/// Batch normalisation (Ioffe and Szegedy 2015): with the statistics of the batch on an autodiff device, otherwise with the
/// running statistics.
///
/// Gate the norm and not the convolution before it: the norm divides by the std of its input, which would undo a mask there.
/// The input of the norm is therefore never masked, and slicing selects the running statistics without scaling them.
///
/// The forward pass updates the running statistics, with the biased variance of the batch, as in Burn (PyTorch multiplies it by
/// `n / (n - 1)`). A gated copy shares them with the model, so that a search trains them. With several devices, those of the
/// first count, as in PyTorch's data parallelism. A batch that is accumulated in parts updates them once per part.
#[derive(Module, Debug)]
pub struct BatchNorm {
    /// Scale, `[channels]`.
    pub gamma: Param<Tensor<1>>,
    /// Shift, `[channels]`.
    pub beta: Param<Tensor<1>>,
    /// Running mean, `[channels]`.
    pub running_mean: RunningState,
    /// Running variance, `[channels]`.
    pub running_var: RunningState,
    /// Weight of a batch in the running statistics.
    pub momentum: f64,
    /// Added to the variance.
    pub epsilon: f64,
}

impl BatchNorm {
    /// # Shapes
    ///
    /// - input, output: `[batch, channels, ...]`
    pub fn forward<const D: usize>(&self, input: Tensor<D>) -> Tensor<D> {
        if input.shape().num_elements() == 0 {
            return input;
        }
        let (gamma, beta) = (self.gamma.val(), self.beta.val());
        if !is_training(&input.device()) {
            let (mean, variance) = (self.running_mean.value(), self.running_var.value());
            return module::batch_norm(input, gamma, beta, mean, variance, self.epsilon);
        }
        let trained = module::batch_norm_train(input, gamma, beta, self.epsilon);
        self.take_in(&self.running_mean, trained.mean);
        self.take_in(&self.running_var, trained.variance);
        trained.output
    }

    fn take_in(&self, running: &RunningState, of_batch: Tensor<1>) {
        running.update(running.value() * (1.0 - self.momentum) + of_batch.detach() * self.momentum);
    }
}

impl SlimLayer<Output> for BatchNorm {
    fn extent(&self, _: Output) -> usize {
        self.gamma.dims()[0]
    }

    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        vec![("epsilon", self.epsilon.into())]
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.gamma = scale_param(self.gamma, 0, &factors);
        self.beta = scale_param(self.beta, 0, &factors);
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        self.gamma = select_param(self.gamma, 0, &kept);
        self.beta = select_param(self.beta, 0, &kept);
        self.running_mean = self.running_mean.mapped(|mean| mean.select(0, kept.clone()));
        self.running_var = self.running_var.mapped(|variance| variance.select(0, kept));
        self
    }
}
