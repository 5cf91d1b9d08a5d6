//! What the layers' checks of `vitslim selftest` do not see, which compare values and gradients with those of burn's stock
//! operations.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

fn rng() -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(1)
}

/// Random values up to `most` on the CPU, with autodiff.
fn random<const D: usize>(rng: &mut ChaCha8Rng, shape: [usize; D], most: f64) -> Tensor<D> {
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.random_range(-most..most)).collect();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex().autodiff())
}

/// A leaf of the graph.
fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.detach().require_grad()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

/// Otherwise the selftest would compare stock operations with themselves.
#[test]
fn the_cpu_has_fused_operations() {
    assert!(is_fused(&random(&mut rng(), [1, 2, 3], 1.0)));
}

#[test]
fn an_empty_head_is_no_head() {
    let mut rng = rng();
    let qkv = random(&mut rng, [2, 9, 21], 1.0);
    let without = attention(&qkv, None, &[3, 4], 0.5).unwrap();
    let with = attention(&qkv, None, &[0, 3, 0, 4, 0], 0.5).unwrap();
    assert_eq!(host(with), host(without));
}

#[test]
fn what_is_not_a_number_stays_so() {
    let mut rng = rng();
    let qkv = random(&mut rng, [1, 9, 12], 1.0);
    let nan = qkv.slice_fill([0..1, 3..4, 0..1], f32::NAN);
    let output = host(attention(&nan, None, &[4], 0.5).unwrap());
    assert!(output[3 * 4..4 * 4].iter().all(|value| value.is_nan()));
    assert!(host(gelu(nan.clone()))[3 * 12].is_nan());
}

#[test]
#[should_panic(expected = "the input does not fit the weight")]
fn a_linear_layer_of_another_size_panics() {
    let mut rng = rng();
    linear(random(&mut rng, [2, 4, 8], 1.0), random(&mut rng, [4, 6], 1.0), Some(random(&mut rng, [6], 1.0)));
}

#[test]
#[should_panic(expected = "scale or shift do not fit the input")]
fn a_norm_of_another_size_panics() {
    let mut rng = rng();
    layer_norm(
        &random(&mut rng, [2, 8], 1.0),
        &random(&mut rng, [4], 1.0),
        &random(&mut rng, [4], 1.0),
        None,
        1e-6,
        8,
    );
}

#[test]
#[should_panic(expected = "not a factor for each token")]
fn factors_of_other_tokens_panic() {
    let mut rng = rng();
    let [gamma, beta] = [(); 2].map(|()| random(&mut rng, [8], 1.0));
    let factors = random(&mut rng, [5], 1.0);
    layer_norm(&random(&mut rng, [2, 4, 8], 1.0), &gamma, &beta, Some(&factors), 1e-6, 8);
}

#[test]
#[should_panic(expected = "the heads do not fit the input")]
fn heads_of_another_size_panic() {
    let mut rng = rng();
    attention(&random(&mut rng, [2, 4, 12], 1.0), None, &[2, 3], 1.0);
}

/// What is not trained gets no gradient, and the rest the same as if it were.
#[test]
fn frozen_inputs_change_nothing_for_the_others() {
    let mut rng = rng();
    let x = random(&mut rng, [3, 5, 8], 1.0);
    let (weight, bias) = (random(&mut rng, [8, 6], 1.0), leaf(random(&mut rng, [6], 1.0)));
    let gradient = |x: Tensor<3>, weight: Tensor<2>| {
        let output = linear(x.clone(), weight.clone(), Some(bias.clone()));
        let gradients = output.square().sum().backward();
        (x.grad(&gradients).map(host), weight.grad(&gradients).map(host), bias.grad(&gradients).map(host))
    };
    let all = gradient(leaf(x.clone()), leaf(weight.clone()));
    let of_weight = gradient(x.clone(), leaf(weight.clone()));
    let of_x = gradient(leaf(x), weight);
    assert!(all.0.is_some() && all.1.is_some() && all.2.is_some());
    assert_eq!(of_weight, (None, all.1, all.2.clone()));
    assert_eq!(of_x, (all.0, None, all.2));
}

/// One network's worth of operations and their gradients, as bits.
fn bits() -> Vec<u64> {
    let mut rng = rng();
    let x = leaf(random(&mut rng, [3, 197, 196], 1.0));
    let [weight, last] = [leaf(random(&mut rng, [196, 300], 0.1)), leaf(random(&mut rng, [100, 40], 0.1))];
    let [bias, last_bias] = [leaf(random(&mut rng, [300], 0.1)), leaf(random(&mut rng, [40], 0.1))];
    let [gamma, beta] = [leaf(random(&mut rng, [196], 1.0)), leaf(random(&mut rng, [196], 1.0))];
    let factors = leaf(random(&mut rng, [197], 1.0));
    let normed = layer_norm(&x, &gamma, &beta, Some(&factors), 1e-6, 200).unwrap();
    let output =
        attention(&linear(normed, weight.clone(), Some(bias.clone())), None, &[36, 40, 24], 0.2).unwrap();
    let output = linear(gelu(output), last.clone(), Some(last_bias));
    let gradients = output.clone().square().sum().backward();
    let of = [
        host(output),
        host(x.grad(&gradients).unwrap()),
        host(weight.grad(&gradients).unwrap()),
        host(last.grad(&gradients).unwrap()),
        host(bias.grad(&gradients).unwrap()),
        host(gamma.grad(&gradients).unwrap()),
        host(beta.grad(&gradients).unwrap()),
        host(factors.grad(&gradients).unwrap()),
    ];
    of.into_iter().flatten().map(f64::to_bits).collect()
}

#[test]
fn the_bits_are_the_same_for_any_number_of_threads() {
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(bits)
    };
    let one = with(1);
    // From five on the gradients of the weights are cut into smaller blocks.
    for threads in [2, 3, 4, 7] {
        assert!(with(threads) == one, "{threads} threads");
    }
}
