//! Values and gradients against burn's stock operations, over random shapes; the same bits for any number of threads.

use burn::tensor::{Device, Distribution, Tensor, TensorData, activation, module};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

const ROUNDS: u64 = 40;

/// Draws sizes and tensors.
struct Draw {
    rng: ChaCha8Rng,
    device: Device,
}

impl Draw {
    fn new(seed: u64) -> Self {
        let device = Device::flex().autodiff();
        Self { rng: ChaCha8Rng::seed_from_u64(seed), device }
    }

    fn size(&mut self, most: usize) -> usize {
        self.rng.random_range(1..=most)
    }

    fn normal<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Tensor<D> {
        // Not by the device, whose generator other tests share. Twelve uniform numbers are as good as normal.
        let value = |rng: &mut ChaCha8Rng| (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
        let values: Vec<f64> =
            (0..shape.iter().product()).map(|_| deviation * value(&mut self.rng)).collect();
        Tensor::from_data(TensorData::new(values, shape), &self.device)
    }

    /// Values that lie in one of the ways in which they may lie: one after the other, with axes exchanged, backwards, behind
    /// others, or one for many.
    fn scattered<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Tensor<D> {
        let last = D - 1;
        let mut other = shape;
        match self.size(5) {
            1 => {
                other.swap(0, last);
                self.normal(other, deviation).swap_dims(0, last)
            }
            2 => self.normal(shape, deviation).flip([0, last as isize]),
            3 => {
                other[last] += 3;
                self.normal(other, deviation).narrow(last, 2, shape[last])
            }
            4 => {
                other[0] = 1;
                self.normal(other, deviation).expand(shape)
            }
            _ => self.normal(shape, deviation),
        }
    }
}

/// A leaf of the graph.
fn leaf<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    tensor.detach().require_grad()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

#[track_caller]
fn assert_close(what: &str, fused: &[f64], stock: &[f64]) {
    assert_eq!(fused.len(), stock.len(), "{what}");
    let scale = stock.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
    let furthest = fused.iter().zip(stock).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    assert!(furthest <= 4e-6 * scale, "{what}: off by {furthest:e} of {scale:e}");
}

/// The values of both functions, and the gradients of all inputs, are the same. A gradient reaches the output that differs
/// from place to place.
macro_rules! assert_same {
    ($what:expr, [$($input:ident),+], $fused:expr, $stock:expr) => {
        let stock = $stock;
        let weigh = stock.random_like(Distribution::Normal(0.0, 1.0));
        let gradients_of = |output: Tensor<_>| {
            let gradients = (output * weigh.clone()).sum().backward();
            vec![$(host($input.grad(&gradients).unwrap())),+]
        };
        let (stock, stock_gradients) = (host(stock.clone()), gradients_of(stock));
        let fused = $fused;
        let (fused, gradients) = (host(fused.clone()), gradients_of(fused));
        assert_close(&format!("{}: output", $what), &fused, &stock);
        for (index, (fused, stock)) in gradients.iter().zip(&stock_gradients).enumerate() {
            assert_close(&format!("{}: gradient {index}", $what), fused, stock);
        }
    };
}

#[test]
fn gelu_is_the_stock_one() {
    for round in 0..ROUNDS {
        let mut draw = Draw::new(round);
        let shape = [draw.size(5), draw.size(40), draw.size(100)];
        let x = leaf(draw.scattered(shape, 3.0));
        assert_same!(format!("{shape:?}"), [x], gelu(x.clone()), activation::gelu(x.clone()));
    }
}

#[test]
fn linear_is_the_stock_one() {
    for round in 0..ROUNDS {
        let mut draw = Draw::new(round);
        let [batch, tokens, d_input, d_output] = [4, 70, 50, 70].map(|most| draw.size(most));
        let x = leaf(draw.scattered([batch, tokens, d_input], 1.0));
        let weight = leaf(draw.scattered([d_input, d_output], 0.3));
        let bias = leaf(draw.normal([d_output], 1.0));
        assert_same!(
            format!("{batch} {tokens} {d_input} {d_output}"),
            [x, weight, bias],
            linear(x.clone(), weight.clone(), Some(bias.clone())),
            module::linear(x.clone(), weight.clone(), Some(bias.clone()))
        );
    }
}

#[test]
fn layer_norm_is_the_stock_one_also_where_features_are_gone() {
    for round in 0..ROUNDS {
        let mut draw = Draw::new(round);
        let [batch, tokens, kept] = [4, 90, 90].map(|most| draw.size(most));
        // Of a feature alone nothing is left to compare.
        let (kept, gone) = (kept + 1, if round % 2 == 0 { 0 } else { draw.size(30) });
        let width = kept + gone;
        let x = leaf(draw.scattered([batch, tokens, kept], 1.0) + 0.5);
        let gamma = leaf(draw.normal([kept], 1.0));
        let beta = leaf(draw.normal([kept], 1.0));
        let stock = || {
            let whole = match gone {
                0 => x.clone(),
                _ => Tensor::cat(vec![x.clone(), Tensor::zeros([batch, tokens, gone], &draw.device)], 2),
            };
            let [gamma, beta] = [&gamma, &beta].map(|tensor| match gone {
                0 => tensor.clone(),
                _ => with_zeros(tensor, gone, &draw.device),
            });
            module::layer_norm(whole, gamma, Some(beta), 1e-6).narrow(2, 0, kept)
        };
        assert_same!(
            format!("{batch} {tokens} {kept} of {width}"),
            [x, gamma, beta],
            layer_norm(&x, &gamma, &beta, 1e-6, width).unwrap(),
            stock()
        );
    }
}

/// `tensor` with `size` zeros after it.
fn with_zeros(tensor: &Tensor<1>, size: usize, device: &Device) -> Tensor<1> {
    Tensor::cat(vec![tensor.clone(), Tensor::zeros([size], device)], 0)
}

/// Attention of each head by itself, from small operations.
fn stock_attention(qkv: &Tensor<3>, heads: &[usize], scale: f64) -> Tensor<3> {
    let features: usize = heads.iter().sum();
    let mut start = 0;
    let mut outputs = Vec::new();
    for &size in heads {
        let part = |index: usize| qkv.clone().narrow(2, index * features + start, size);
        let scores = part(0).matmul(part(1).swap_dims(1, 2)) * scale;
        outputs.push(activation::softmax(scores, 2).matmul(part(2)));
        start += size;
    }
    Tensor::cat(outputs, 2)
}

#[test]
fn attention_is_the_stock_one_for_heads_of_any_size() {
    for round in 0..ROUNDS {
        let mut draw = Draw::new(round);
        let [batch, tokens, heads] = [5, 40, 4].map(|most| draw.size(most));
        let sizes: Vec<usize> = (0..heads).map(|_| draw.size(20)).collect();
        let features: usize = sizes.iter().sum();
        let qkv = leaf(draw.scattered([batch, tokens, 3 * features], 1.5));
        assert_same!(
            format!("{batch} {tokens} {sizes:?}"),
            [qkv],
            attention(&qkv, &sizes, 0.3).unwrap(),
            stock_attention(&qkv, &sizes, 0.3)
        );
    }
}

#[test]
fn an_empty_head_is_no_head() {
    let mut draw = Draw::new(1);
    let qkv = draw.normal([2, 9, 21], 1.0);
    let without = attention(&qkv, &[3, 4], 0.5).unwrap();
    let with = attention(&qkv, &[0, 3, 0, 4, 0], 0.5).unwrap();
    assert_eq!(host(with), host(without));
}

#[test]
fn what_is_not_a_number_stays_so() {
    let mut draw = Draw::new(1);
    let qkv = draw.normal([1, 9, 12], 1.0);
    let nan = qkv.slice_fill([0..1, 3..4, 0..1], f32::NAN);
    let output = host(attention(&nan, &[4], 0.5).unwrap());
    assert!(output[3 * 4..4 * 4].iter().all(|value| value.is_nan()));
    assert!(host(gelu(nan.clone()))[3 * 12].is_nan());
}

#[test]
#[should_panic(expected = "the input does not fit the weight")]
fn a_linear_layer_of_another_size_panics() {
    let mut draw = Draw::new(1);
    linear(draw.normal([2, 4, 8], 1.0), draw.normal([4, 6], 1.0), Some(draw.normal([6], 1.0)));
}

#[test]
#[should_panic(expected = "scale or shift do not fit the input")]
fn a_norm_of_another_size_panics() {
    let mut draw = Draw::new(1);
    layer_norm(&draw.normal([2, 8], 1.0), &draw.normal([4], 1.0), &draw.normal([4], 1.0), 1e-6, 8);
}

#[test]
#[should_panic(expected = "the heads do not fit the input")]
fn heads_of_another_size_panic() {
    let mut draw = Draw::new(1);
    attention(&draw.normal([2, 4, 12], 1.0), &[2, 3], 1.0);
}

/// What is not trained gets no gradient, and the rest the same as if it were.
#[test]
fn frozen_inputs_change_nothing_for_the_others() {
    let mut draw = Draw::new(1);
    let x = draw.normal([3, 5, 8], 1.0);
    let (weight, bias) = (draw.normal([8, 6], 1.0), leaf(draw.normal([6], 1.0)));
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
    let mut draw = Draw::new(7);
    let x = leaf(draw.normal([3, 197, 96], 1.0));
    let weight = leaf(draw.normal([96, 288], 0.1));
    let bias = leaf(draw.normal([288], 0.1));
    let [gamma, beta] = [leaf(draw.normal([96], 1.0)), leaf(draw.normal([96], 1.0))];
    let normed = layer_norm(&x, &gamma, &beta, 1e-6, 100).unwrap();
    let output = attention(&linear(normed, weight.clone(), Some(bias.clone())), &[32, 40, 24], 0.2).unwrap();
    let output = gelu(output);
    let gradients = output.clone().square().sum().backward();
    let of = [
        host(output),
        host(x.grad(&gradients).unwrap()),
        host(weight.grad(&gradients).unwrap()),
        host(bias.grad(&gradients).unwrap()),
        host(gamma.grad(&gradients).unwrap()),
        host(beta.grad(&gradients).unwrap()),
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
    for threads in [2, 3, 4, 7] {
        assert!(with(threads) == one, "{threads} threads");
    }
}
