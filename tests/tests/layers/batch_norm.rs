//! Running statistics: they are the model's own, whoever trains it.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vitslim_core::prelude::*;
use vitslim_core::slim::{Plan, describe};
use vitslim_core::values::random;

use crate::convolutions::ConvNormConv;
use crate::harness::{Masks, Network, host, input, masks, network};

fn statistics(norm: &BatchNorm) -> [Vec<f64>; 2] {
    [&norm.running_mean, &norm.running_var].map(|running| host(running.value()))
}

#[test]
fn evaluation_is_by_the_running_statistics() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let norm = network::<ConvNormConv>(&mut rng).norm;
    let x = random::<4>([3, 7, 2, 2], &mut rng, &crate::harness::device());
    let of = |values: Tensor<1>| values.reshape([1, 7, 1, 1]);
    let deviation = (of(norm.running_var.value()) + norm.epsilon).sqrt();
    let expected = (x.clone() - of(norm.running_mean.value())) / deviation * of(norm.gamma.val());
    let expected = host(expected + of(norm.beta.val()));
    for (found, expected) in host(norm.forward(x)).into_iter().zip(expected) {
        assert!((found - expected).abs() < 1e-12, "{found} {expected}");
    }
}

#[test]
fn statistics_trained_through_the_gated_model_arrive_in_the_model() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let model = network::<ConvNormConv>(&mut rng).train();
    let masks = masks(&model, &crate::harness::device(), &mut rng).train();
    let before_training = model.valid();
    let mut expected = statistics(&model.norm);
    for _ in 0..3 {
        let x = Tensor::from_inner(input(&mut rng));
        model.gate(&masks).forward(x.clone(), &Masks::default());
        // Those of what the norm reads, which no mask multiplies.
        let channels = model_input(&model, x);
        let mean = channels.clone().mean_dim(1);
        let variance = (channels - mean.clone()).square().mean_dim(1);
        for (expected, batch) in expected.iter_mut().zip([host(mean), host(variance)]) {
            expected
                .iter_mut()
                .zip(batch)
                .for_each(|(expected, batch)| *expected += 0.1 * (batch - *expected));
        }
        for (found, expected) in statistics(&model.norm).into_iter().flatten().zip(expected.iter().flatten())
        {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
    // A copy for validation is one of its time.
    assert_ne!(statistics(&before_training.norm), statistics(&model.norm));
    assert_eq!(statistics(&model.valid().norm), statistics(&model.norm));
}

/// What the norm reads, `[channels, values]`.
fn model_input(model: &ConvNormConv, x: Tensor<4>) -> Tensor<2> {
    model.conv1.forward(x).swap_dims(0, 1).flatten(1, 3)
}

#[test]
fn a_sub_network_has_statistics_of_its_own_and_they_are_saved() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let model = network::<ConvNormConv>(&mut rng).train();
    let mut plan = Plan::whole(&describe(&model).unwrap());
    plan.cuts[0].keep = vec![1, 4];
    let sliced = model.slim(&plan).unwrap();
    let before = statistics(&model.norm);
    assert_eq!(statistics(&sliced.norm), before.clone().map(|of| vec![of[1], of[4]]));

    sliced.forward(Tensor::from_inner(input(&mut rng)), &Masks::default());
    assert_ne!(statistics(&sliced.norm), before.clone().map(|of| vec![of[1], of[4]]));
    assert_eq!(statistics(&model.norm), before);

    let other = network::<ConvNormConv>(&mut rng).slim(&plan).unwrap();
    let loaded = other.clone().load_record(sliced.valid().into_record());
    assert_eq!(statistics(&loaded.norm), statistics(&sliced.norm));
    assert_ne!(statistics(&other.norm), statistics(&sliced.norm));
    // Gamma and beta are parameters, the statistics are not.
    assert_eq!(loaded.norm.num_params(), 4);
}
