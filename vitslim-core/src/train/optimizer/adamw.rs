//! AdamW in one pass where there is a kernel for it; otherwise burn's, which makes a pass for each of its fifteen operations.
//! State and results are the same.

use burn::optim::{AdamWConfig, AdamWState, AdaptiveMomentumState, LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};

use vitslim_kernels::{self as kernels, AdamWStep};

/// The optimizer of a group of parameters.
#[derive(Clone)]
pub(super) struct AdamW {
    stock: burn::optim::AdamW,
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
    weight_decay: f32,
}

impl AdamW {
    pub(super) fn new(beta_1: f32, beta_2: f32, epsilon: f32, weight_decay: f32) -> Self {
        let stock = AdamWConfig::new()
            .with_weight_decay(weight_decay)
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .build();
        Self { stock, beta_1, beta_2, epsilon, weight_decay }
    }
}

impl Optimizer for AdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        parameter: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        match state {
            Some(AdamWState { momentum })
                if kernels::has_adamw([&parameter, &gradient, &momentum.moment_1, &momentum.moment_2]) =>
            {
                let AdaptiveMomentumState { time, moment_1, moment_2, .. } = momentum;
                let time = time + 1;
                let step = AdamWStep {
                    beta_1: self.beta_1,
                    beta_2: self.beta_2,
                    time: time as i32,
                    epsilon: self.epsilon,
                    lr,
                    decay: lr * f64::from(self.weight_decay),
                };
                let (parameter, moment_1, moment_2) =
                    kernels::adamw(parameter, gradient, moment_1, moment_2, step);
                let momentum = AdaptiveMomentumState::new(time, moment_1, moment_2);
                (parameter, Some(AdamWState::new(momentum)))
            }
            // The first step creates the state.
            state => self.stock.step(lr, parameter, gradient, state),
        }
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        burn::optim::AdamW::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Distribution, TensorData};

    use super::*;

    fn bits<const D: usize>(tensor: Tensor<D>) -> Vec<u32> {
        let values: Vec<f32> = tensor.into_data().try_to_vec().unwrap();
        values.into_iter().map(f32::to_bits).collect()
    }

    #[test]
    fn each_step_is_that_of_burn_bit_by_bit() {
        let device = Device::flex();
        for (shape, weight_decay) in [([1, 1], 0.05), ([3, 7], 0.0), ([97, 211], 0.3)] {
            let ours = AdamW::new(0.9, 0.999, 1e-8, weight_decay);
            let mut expected = (Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device), None);
            let mut found = expected.clone();
            for step in 1..20 {
                let gradient = Tensor::random(shape, Distribution::Normal(0.0, 0.1), &device);
                assert!(kernels::has_adamw([&found.0, &gradient, &found.0, &found.0]));
                let lr = 1e-2 / f64::from(step);
                expected = ours.stock.step(lr, expected.0, gradient.clone(), expected.1);
                found = ours.step(lr, found.0, gradient, found.1);
                assert_eq!(bits(found.0.clone()), bits(expected.0.clone()), "{shape:?}, step {step}");
            }
            let (found, expected) = (found.1.unwrap().momentum, expected.1.unwrap().momentum);
            assert_eq!(found.time, expected.time);
            assert_eq!(bits(found.moment_1), bits(expected.moment_1));
            assert_eq!(bits(found.moment_2), bits(expected.moment_2));
        }
    }

    #[test]
    fn what_others_hold_or_lies_otherwise_stays_as_it_is() {
        let device = Device::flex();
        let values = |shape| Tensor::<2>::random(shape, Distribution::Normal(0.0, 1.0), &device);
        let ours = AdamW::new(0.9, 0.999, 1e-8, 0.1);
        let (parameter, gradient) = (values([5, 3]), values([3, 5]).transpose());
        let (_, state) = ours.step(1e-2, parameter, gradient.clone(), None);
        // A part of a larger tensor.
        let parameter = values([9, 3]).narrow(0, 2, 5);
        let before: TensorData = parameter.to_data();
        let expected = ours.stock.step(1e-2, parameter.clone(), gradient.clone(), state.clone()).0;
        let found = ours.step(1e-2, parameter.clone(), gradient, state).0;
        assert_eq!(bits(found), bits(expected));
        assert_eq!(parameter.to_data(), before);
    }
}
