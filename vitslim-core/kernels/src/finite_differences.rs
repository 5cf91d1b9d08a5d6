//! The operations against plain references in f64, and their gradients against central differences of these.

use burn::tensor::{DType, Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;

/// Change of an input. The differences are off by about its square.
const STEP: f64 = 1e-5;

/// Largest difference of what is computed in f32, over the largest value.
const F32: f64 = 4e-6;

/// Random values that f32 holds.
fn values(rng: &mut ChaCha8Rng, count: usize, most: f64) -> Vec<f64> {
    (0..count).map(|_| f64::from(rng.random_range(-most..most) as f32)).collect()
}

fn leaf<const D: usize>(values: &[f64], shape: [usize; D], dtype: DType) -> Tensor<D> {
    let data = TensorData::new(values.to_vec(), shape);
    Tensor::from_data(data, (&Device::flex().autodiff(), dtype)).require_grad()
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

/// What an operation computed: its output, and the gradients of its inputs if that of its output is the weights of [`agrees`].
struct Computed {
    output: Vec<f64>,
    gradients: Vec<Vec<f64>>,
}

/// The output of an operation and the gradients of its inputs.
macro_rules! computed {
    ($weights:expr, $output:expr, [$($input:expr),+]) => {{
        let output = $output;
        let weights = leaf(&$weights, output.dims(), output.dtype()).detach();
        let gradients = (output.clone() * weights).sum().backward();
        Computed { output: host(output), gradients: vec![$(host($input.grad(&gradients).unwrap())),+] }
    }};
}

#[track_caller]
fn close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let size = expected.iter().fold(1e-3, |most: f64, value| most.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let difference = (found - expected).abs() / size;
        assert!(
            difference <= tolerance,
            "{what}, value {index}: {found} instead of {expected}, {difference:e} of {size}"
        );
    }
}

/// Asserts that `computed` is what `reference` computes of `inputs`, and the gradients those of its output weighed by `weights`.
#[track_caller]
fn agrees(
    computed: &Computed,
    inputs: &[Vec<f64>],
    weights: &[f64],
    tolerance: f64,
    reference: impl Fn(&[Vec<f64>]) -> Vec<f64>,
) {
    close("output", &computed.output, &reference(inputs), tolerance);
    assert_eq!(computed.gradients.len(), inputs.len());
    let mut moved = inputs.to_vec();
    for (input, gradient) in computed.gradients.iter().enumerate() {
        let slope = |index: usize, moved: &mut Vec<Vec<f64>>| {
            let mut at = |value: f64| {
                moved[input][index] = value;
                reference(moved).iter().zip(weights).map(|(output, weight)| output * weight).sum::<f64>()
            };
            let value = inputs[input][index];
            let slope = (at(value + STEP) - at(value - STEP)) / (2.0 * STEP);
            at(value);
            slope
        };
        let slopes: Vec<f64> = (0..gradient.len()).map(|index| slope(index, &mut moved)).collect();
        close(&format!("gradient of input {input}"), gradient, &slopes, tolerance);
    }
}

fn gelu_reference(x: f64) -> f64 {
    // The integral of the density from 0 to x, by Simpson's rule.
    let density = |t: f64| (-0.5 * t * t).exp() / (2.0 * std::f64::consts::PI).sqrt();
    let parts = 2000;
    let width = x / f64::from(parts);
    let weight = |part: i32| if part == 0 || part == parts { 1.0 } else { f64::from(2 + 2 * (part % 2)) };
    let integral: f64 =
        (0..=parts).map(|part| weight(part) * density(f64::from(part) * width)).sum::<f64>() * width / 3.0;
    x * (0.5 + integral)
}

#[test]
fn gelu_fused_and_composed() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let (inputs, weights) = ([values(&mut rng, 70, 5.0)], values(&mut rng, 70, 1.0));
    let reference = |inputs: &[Vec<f64>]| inputs[0].iter().map(|&x| gelu_reference(x)).collect();

    let x = leaf(&inputs[0], [70], DType::F32);
    agrees(&computed!(weights, gelu(x.clone()), [x]), &inputs, &weights, F32, reference);
    // In f64 there is no fused operation, so that this is what other devices compute.
    let x = leaf(&inputs[0], [70], DType::F64);
    agrees(&computed!(weights, gelu(x.clone()), [x]), &inputs, &weights, 1e-9, reference);
    assert_eq!(host(gelu(x.clone())), host(composed_gelu(x.clone())));
    assert_ne!(host(gelu(x.clone())), host(activation::gelu(x)), "they differ in their last digits");
    // In f32 too, as they have it.
    let x = leaf(&inputs[0], [70], DType::F32);
    agrees(&computed!(weights, composed_gelu(x.clone()), [x]), &inputs, &weights, F32, reference);
}

#[test]
fn linear_layers() {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let [rows, d_input, d_output] = [6, 19, 21];
    let inputs = [rows * d_input, d_input * d_output, d_output].map(|count| values(&mut rng, count, 1.0));
    let weights = values(&mut rng, rows * d_output, 1.0);
    let x = leaf(&inputs[0], [2, 3, d_input], DType::F32);
    let weight = leaf(&inputs[1], [d_input, d_output], DType::F32);
    let bias = leaf(&inputs[2], [d_output], DType::F32);
    let output = linear(x.clone(), weight.clone(), Some(bias.clone()));
    agrees(&computed!(weights, output, [x, weight, bias]), &inputs, &weights, F32, |inputs| {
        let value = |row: usize, column: usize| {
            let products =
                (0..d_input).map(|k| inputs[0][row * d_input + k] * inputs[1][k * d_output + column]);
            products.sum::<f64>() + inputs[2][column]
        };
        (0..rows).flat_map(|row| (0..d_output).map(move |column| value(row, column))).collect()
    });
}

/// With removed features, and with factors of tokens.
#[test]
fn layer_norms() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let [batch, tokens, kept] = [2, 3, 37];
    let epsilon = 1e-2;
    for width in [kept, kept + 11] {
        let inputs = [batch * tokens * kept, kept, kept, tokens].map(|count| values(&mut rng, count, 1.0));
        let weights = values(&mut rng, batch * tokens * kept, 1.0);
        let x = leaf(&inputs[0], [batch, tokens, kept], DType::F32);
        let [gamma, beta] = [1, 2].map(|index| leaf(&inputs[index], [kept], DType::F32));
        let factors = leaf(&inputs[3], [tokens], DType::F32);
        let reference = |inputs: &[Vec<f64>]| -> Vec<f64> {
            let rows = inputs[0].chunks_exact(kept).enumerate();
            rows.flat_map(|(row, x)| {
                let factor = inputs.get(3).map_or(1.0, |factors| factors[row % tokens]);
                let all = |x: &[f64]| {
                    x.iter().copied().chain(std::iter::repeat_n(0.0, width - kept)).collect::<Vec<_>>()
                };
                let x = all(x);
                let mean = x.iter().sum::<f64>() / width as f64;
                let variance = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / width as f64;
                let std = (variance + epsilon).sqrt();
                let normed = x.into_iter().take(kept).zip(inputs[1].iter().zip(&inputs[2]));
                normed
                    .map(|(x, (gamma, beta))| factor * ((x - mean) / std * gamma + beta))
                    .collect::<Vec<_>>()
            })
            .collect()
        };
        let output = layer_norm(&x, &gamma, &beta, None, epsilon, width).unwrap();
        agrees(&computed!(weights, output, [x, gamma, beta]), &inputs[..3], &weights, F32, reference);
        let output = layer_norm(&x, &gamma, &beta, Some(&factors), epsilon, width).unwrap();
        agrees(&computed!(weights, output, [x, gamma, beta, factors]), &inputs, &weights, F32, reference);
    }
}

/// Where features are masked instead of removed, the others have the same mean and variance: also of a single one.
#[test]
fn a_layer_norm_over_fewer_features_than_it_has() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let (rows, features) = (40, 192);
    for kept in [1, 2, 7, 100] {
        let of_kept: Vec<f64> =
            values(&mut rng, rows * kept, 4.0).into_iter().map(|value| value + 1.0).collect();
        let masked = of_kept
            .chunks_exact(kept)
            .flat_map(|row| row.iter().copied().chain(std::iter::repeat_n(0.0, features - kept)));
        let x = |values: &[f64], features: usize| leaf(values, [1, rows, features], DType::F32);
        let norm = |x: &Tensor<3>, features: usize| {
            let [gamma, beta] = [1.0, 0.5].map(|value| leaf(&vec![value; features], [features], DType::F32));
            layer_norm(x, &gamma, &beta, None, 1e-6, kept).unwrap().narrow(2, 0, kept)
        };
        let alone = norm(&x(&of_kept, kept), kept);
        let among_masked = norm(&x(&masked.collect::<Vec<_>>(), features), features);
        let off = (among_masked - alone).abs().max().into_scalar::<f32>();
        assert!(off < 1e-4, "{kept} of {features}: {off}");
    }
}

/// Heads of any size, also 0.
#[test]
fn attention_over_ragged_heads() {
    attends(None);
}

#[test]
fn attention_where_keys_count_more_than_once() {
    attends(Some([1.0, 3.0, 1.0, 2.0, 7.0, 1.0, 1.5, 4.0, 1.0, 1.0, 2.0, 9.0, 1.0, 5.0]));
}

/// Checks attention on two images of seven tokens, which have these `sizes`.
fn attends(sizes: Option<[f64; 14]>) {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let (batch, tokens, heads, scale) = (2, 7, [17, 0, 3, 1], 0.4);
    let features: usize = heads.iter().sum();
    let inputs = [values(&mut rng, batch * tokens * 3 * features, 2.0)];
    let weights = values(&mut rng, batch * tokens * features, 1.0);
    let qkv = leaf(&inputs[0], [batch, tokens, 3 * features], DType::F32);
    let sizes_on_device = sizes.map(|sizes| leaf(&sizes, [batch, tokens], DType::F32));
    let output = attention(&qkv, sizes_on_device.as_ref(), &heads, scale).unwrap();
    agrees(&computed!(weights, output, [qkv]), &inputs, &weights, F32, |inputs| {
        let at = |image: usize, token: usize, part: usize, feature: usize| {
            inputs[0][((image * tokens + token) * 3 + part) * features + feature]
        };
        let mut output = vec![0.0; batch * tokens * features];
        for (image, query) in (0..batch).flat_map(|image| (0..tokens).map(move |query| (image, query))) {
            let mut start = 0;
            for size in heads {
                let of_head = start..start + size;
                let score = |key: usize| {
                    let products = of_head.clone().map(|f| at(image, query, 0, f) * at(image, key, 1, f));
                    let often = sizes.map_or(1.0, |sizes| sizes[image * tokens + key]);
                    often * (products.sum::<f64>() * scale).exp()
                };
                let scores: Vec<f64> = (0..tokens).map(score).collect();
                let sum: f64 = scores.iter().sum();
                for feature in of_head.clone() {
                    let values = scores
                        .iter()
                        .enumerate()
                        .map(|(key, score)| score / sum * at(image, key, 2, feature));
                    output[(image * tokens + query) * features + feature] = values.sum();
                }
                start += size;
            }
        }
        output
    });
}
