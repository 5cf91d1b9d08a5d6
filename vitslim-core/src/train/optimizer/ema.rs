//! A running average of the weights.

use std::collections::HashMap;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::Tensor;

/// An exponential moving average of the parameters of a module.
///
/// After `n` steps `average = average + (1 - d) * (weights - average)` with `d = min(decay, (1 + n) / (10 + n))`, so that early
/// averages do not stick to the random initialisation. It is the formula of TensorFlow's `ExponentialMovingAverage`.
#[derive(Debug)]
pub(in crate::train) struct Ema<M: Module> {
    average: M,
    decay: f64,
}

impl<M: Module> Ema<M> {
    /// Starts from the weights of `module`, which is in validation mode.
    pub(in crate::train) fn new(module: M, decay: f64) -> Self {
        Self { average: module, decay }
    }

    /// The module with averaged weights, in validation mode.
    pub(in crate::train) fn average(&self) -> &M {
        &self.average
    }

    /// Adds the weights of `module`, in validation mode, after `steps` steps of training.
    pub(in crate::train) fn update(&mut self, module: &M, steps: usize) {
        let mut weights = Weights::default();
        module.visit(&mut weights);
        let steps = steps as f64;
        let decay = self.decay.min((1.0 + steps) / (10.0 + steps));
        self.average = self.average.clone().map(&mut Toward { weights: weights.0, decay });
    }
}

/// Parameters, flattened.
#[derive(Default)]
struct Weights(HashMap<ParamId, Tensor<1>>);

impl ModuleVisitor for Weights {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        let value = param.val();
        if value.shape().num_elements() > 0 {
            self.0.insert(param.id, value.flatten(0, D - 1));
        }
    }
}

struct Toward {
    weights: HashMap<ParamId, Tensor<1>>,
    decay: f64,
}

impl ModuleMapper for Toward {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let Some(weights) = self.weights.remove(&param.id) else { return param };
        param.map(|average| {
            let weights = weights.reshape(average.shape());
            // Values that do not move keep every bit.
            average.clone() + (weights - average) * (1.0 - self.decay)
        })
    }
}

#[cfg(test)]
mod tests {
    use burn::nn::LinearConfig;
    use burn::tensor::{Device, Tolerance};

    use super::*;

    #[test]
    fn the_average_follows_the_weights_by_its_formula() {
        let mut layer = LinearConfig::new(2, 3).init(&Device::flex());
        let mut ema = Ema::new(layer.clone(), 0.5);
        let mut expected = layer.weight.val();
        for steps in 1..=20 {
            layer.weight = layer.weight.map(|weight| weight * 2.0 + 0.1);
            ema.update(&layer, steps);
            let decay = 0.5_f64.min((1.0 + steps as f64) / (10.0 + steps as f64));
            expected = expected * decay + layer.weight.val() * (1.0 - decay);
        }
        let average = ema.average().weight.val().into_data();
        average.assert_approx_eq(&expected.into_data(), Tolerance::<f32>::relative(1e-5));
    }
}
