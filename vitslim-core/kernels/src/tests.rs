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

/// Attention of heads of these sizes.
fn attend(qkv: &Tensor<3>, heads: &[usize], scale: f64) -> Tensor<3> {
    let heads = Heads { qk: heads.to_vec(), v: heads.to_vec(), queries: 1 };
    attention(qkv, None, None, None, &Attention { heads, scale, windows: None }).unwrap()
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
    let without = attend(&qkv, &[3, 4], 0.5);
    let with = attend(&qkv, &[0, 3, 0, 4, 0], 0.5);
    assert_eq!(host(with), host(without));
}

#[test]
fn what_is_not_a_number_stays_so() {
    let mut rng = rng();
    let qkv = random(&mut rng, [1, 9, 12], 1.0);
    let nan = qkv.slice_fill([0..1, 3..4, 0..1], f32::NAN);
    let output = host(attend(&nan, &[4], 0.5));
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
#[should_panic(expected = "the weight does not fit the input")]
fn a_convolution_of_other_channels_panics() {
    let mut rng = rng();
    depthwise(
        &random(&mut rng, [1, 4, 4, 6], 1.0),
        &random(&mut rng, [4, 1, 3, 3], 1.0),
        None,
        [1, 1],
        [1, 1],
    );
}

#[test]
fn a_kernel_larger_than_the_image_is_left_to_others() {
    let mut rng = rng();
    let (x, weight) = (random(&mut rng, [1, 4, 4, 6], 1.0), random(&mut rng, [6, 1, 7, 7], 1.0));
    assert!(depthwise(&x, &weight, None, [1, 1], [1, 1]).is_none());
    assert!(depthwise(&x, &weight, None, [1, 1], [2, 2]).is_some());
}

#[test]
#[should_panic(expected = "the windows do not fill the input")]
fn windows_of_another_image_panic() {
    let mut rng = rng();
    let heads = Heads { qk: vec![4], v: vec![4], queries: 1 };
    let windows = Some(Windows { side: 4, size: 3, shift: 0 });
    let whole = Attention { heads, scale: 1.0, windows };
    attention(&random(&mut rng, [2, 16, 12], 1.0), None, None, None, &whole);
}

#[test]
#[should_panic(expected = "the bias does not fit the input")]
fn a_bias_of_other_tokens_panics() {
    let mut rng = rng();
    let whole = Attention { heads: Heads { qk: vec![4], v: vec![4], queries: 1 }, scale: 1.0, windows: None };
    let bias = random(&mut rng, [1, 1, 5, 4], 1.0);
    attention(&random(&mut rng, [2, 4, 12], 1.0), Some(&bias), None, None, &whole);
}

#[test]
#[should_panic(expected = "the branch does not fit what it is added to")]
fn a_branch_of_another_size_panics() {
    let mut rng = rng();
    residual(&random(&mut rng, [2, 4, 12], 1.0), &random(&mut rng, [2, 4, 11], 1.0), None, None);
}

#[test]
#[should_panic(expected = "the heads do not fit the input")]
fn heads_of_another_size_panic() {
    let mut rng = rng();
    attend(&random(&mut rng, [2, 4, 12], 1.0), &[2, 3], 1.0);
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

/// Each of the inputs alone is trained, and gets the gradient that it gets with all of them.
#[test]
fn whatever_is_frozen_the_others_have_the_same_gradients() {
    let mut rng = rng();
    let x = random(&mut rng, [2, 4, 4, 6], 1.0);
    let (weight, bias) = (random(&mut rng, [6, 1, 3, 3], 1.0), random(&mut rng, [6], 1.0));
    same_gradients(|[x_is, weight_is, bias_is]| {
        let (x, weight, bias) = (leaf_if(&x, x_is), leaf_if(&weight, weight_is), leaf_if(&bias, bias_is));
        let output = depthwise(&x, &weight, Some(&bias), [1, 1], [1, 1]).unwrap();
        let gradients = output.square().sum().backward();
        [x.grad(&gradients).map(host), weight.grad(&gradients).map(host), bias.grad(&gradients).map(host)]
    });
    let (branch, scale) = (random(&mut rng, [2, 4, 4, 6], 1.0), random(&mut rng, [6], 1.0));
    same_gradients(|[x_is, branch_is, scale_is]| {
        let (x, branch, scale) = (leaf_if(&x, x_is), leaf_if(&branch, branch_is), leaf_if(&scale, scale_is));
        let output = residual(&x, &branch, Some(&scale), None).unwrap();
        let gradients = output.square().sum().backward();
        [x.grad(&gradients).map(host), branch.grad(&gradients).map(host), scale.grad(&gradients).map(host)]
    });
    let (qkv, table) = (random(&mut rng, [2, 4, 18], 1.0), random(&mut rng, [1, 2, 4, 4], 1.0));
    let heads = Heads { qk: vec![4, 2], v: vec![4, 2], queries: 1 };
    let whole = Attention { heads, scale: 0.5, windows: None };
    same_gradients(|[qkv_is, table_is, _]| {
        let (qkv, table) = (leaf_if(&qkv, qkv_is), leaf_if(&table, table_is));
        let output = attention(&qkv, Some(&table), None, None, &whole).unwrap();
        let gradients = output.square().sum().backward();
        [qkv.grad(&gradients).map(host), table.grad(&gradients).map(host), None]
    });
}

fn leaf_if<const D: usize>(tensor: &Tensor<D>, is_leaf: bool) -> Tensor<D> {
    if is_leaf { leaf(tensor.clone()) } else { tensor.clone() }
}

/// Asserts that each input that is trained by itself, as `of` is told, has the gradient that it has if all are.
fn same_gradients(of: impl Fn([bool; 3]) -> [Option<Vec<f64>>; 3]) {
    let all = of([true; 3]);
    for input in (0..3).filter(|input| all[*input].is_some()) {
        let mut trained = [false; 3];
        trained[input] = true;
        let mut expected = [None, None, None];
        expected[input] = all[input].clone();
        assert_eq!(of(trained), expected, "input {input}");
    }
}

/// Where gradients of the weights alone are computed, there is no operation without gradients.
#[test]
fn weights_with_gradients_keep_an_mlp_in_parts() {
    let mut rng = rng();
    let weights = || [random(&mut self::rng(), [6, 4], 1.0), random(&mut self::rng(), [4, 6], 1.0)];
    let x = random(&mut rng, [2, 3, 6], 1.0).inner();
    let layers = |plain: [bool; 2]| {
        let [first, second] = weights();
        let of = |weight: Tensor<2>, plain: bool| (if plain { weight.inner() } else { weight }, None);
        [of(first, plain[0]), of(second, plain[1])]
    };
    assert!(mlp(&x, layers([true, true])).is_some());
    assert!(mlp(&x, layers([false, true])).is_none());
    assert!(mlp(&x, layers([true, false])).is_none());
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
    let output = attend(&linear(normed, weight.clone(), Some(bias.clone())), &[36, 40, 24], 0.2);
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
    of.into_iter().flatten().chain(bits_of_images()).map(f64::to_bits).collect()
}

/// Those of operations on images.
fn bits_of_images() -> Vec<f64> {
    let mut rng = rng();
    let (side, dim) = (28, 40);
    let x = leaf(random(&mut rng, [3, side, side, dim], 1.0));
    let weight = leaf(random(&mut rng, [dim, 1, 7, 7], 0.1));
    let [bias, scale] = [leaf(random(&mut rng, [dim], 1.0)), leaf(random(&mut rng, [dim], 1.0))];
    let to_qkv = random(&mut rng, [dim, 3 * dim], 0.1);
    let table = leaf(random(&mut rng, [1, 2, 49, 49], 1.0));
    let convolved = depthwise(&x, &weight, Some(&bias), [1, 1], [3, 3]).unwrap();
    let qkv = linear(convolved.reshape([3, side * side, dim]), to_qkv, None);
    let heads = Heads { qk: vec![24, 16], v: vec![24, 16], queries: 1 };
    let windows = Some(Windows { side, size: 7, shift: 3 });
    let attended =
        attention(&qkv, Some(&table), None, None, &Attention { heads, scale: 0.2, windows }).unwrap();
    let shortcut = x.clone().reshape([3, side * side, dim]);
    let [plain, first, second] =
        [shortcut.clone(), random(&mut rng, [1, dim, 70], 0.1), random(&mut rng, [1, 70, dim], 0.1)]
            .map(|tensor| tensor.inner());
    let [first, second] = [first, second].map(|weight| (weight.squeeze_dim::<2>(0), None));
    let without_gradients = mlp(&plain, [first, second]).unwrap();
    let output = residual(&shortcut, &attended, Some(&scale), None).unwrap();
    let gradients = output.clone().square().sum().backward();
    let of = [
        host(output),
        host(x.grad(&gradients).unwrap()),
        host(weight.grad(&gradients).unwrap()),
        host(bias.grad(&gradients).unwrap()),
        host(scale.grad(&gradients).unwrap()),
        host(table.grad(&gradients).unwrap()),
        host(without_gradients),
    ];
    of.into_iter().flatten().collect()
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
