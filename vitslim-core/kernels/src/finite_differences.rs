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

mod attention;

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

/// Two layers with GELU between, without gradients.
#[test]
fn multilayer_perceptrons() {
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let [rows, d_input, hidden, d_output] = [150, 5, 7, 3];
    let counts = [rows * d_input, d_input * hidden, hidden, hidden * d_output, d_output];
    let inputs = counts.map(|count| values(&mut rng, count, 1.0));
    let given = |index: usize, shape: [usize; 2]| {
        leaf(&inputs[index], shape, DType::F32).inner().set_require_grad(false)
    };
    let bias = |index: usize| given(index, [1, counts[index]]).reshape([counts[index]]);
    let layers = [(given(1, [d_input, hidden]), bias(2)), (given(3, [hidden, d_output]), bias(4))];
    let layer = |x: &[f64], weight: &[f64], bias: &[f64]| -> Vec<f64> {
        let of_row = |row: &[f64]| {
            let value = |column: usize| {
                let products = row.iter().enumerate().map(|(k, x)| x * weight[k * bias.len() + column]);
                products.sum::<f64>() + bias[column]
            };
            (0..bias.len()).map(value).collect::<Vec<_>>()
        };
        x.chunks_exact(weight.len() / bias.len()).flat_map(of_row).collect()
    };
    let x = given(0, [rows, d_input]).reshape([2, 75, d_input]);
    for has_bias in [true, false] {
        let of_layer = |index: usize| if has_bias { inputs[index].clone() } else { vec![0.0; counts[index]] };
        let between: Vec<f64> =
            layer(&inputs[0], &inputs[1], &of_layer(2)).into_iter().map(gelu_reference).collect();
        let layers = layers.clone().map(|(weight, bias)| (weight, has_bias.then_some(bias)));
        let output = mlp::<3>(&x, layers).unwrap();
        assert_eq!(output.dims(), [2, 75, d_output]);
        close("output", &host(output), &layer(&between, &inputs[3], &of_layer(4)), F32);
    }
}

/// A branch with a factor for each feature, for each sample, both or neither.
#[test]
fn residual_branches() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let [batch, tokens, dim] = [3, 2, 19];
    let size = batch * tokens * dim;
    let (weights, keep) = (values(&mut rng, size, 1.0), [0.0, 2.0, 1.5]);
    let inputs = [size, size, dim].map(|count| values(&mut rng, count, 1.0));
    let [x, branch] = [0, 1].map(|index| leaf(&inputs[index], [batch, tokens, dim], DType::F32));
    let scale = leaf(&inputs[2], [dim], DType::F32);
    let kept = leaf(&keep, [batch], DType::F32).detach();
    for has_keep in [false, true] {
        let reference = |inputs: &[Vec<f64>]| -> Vec<f64> {
            let value = |index: usize| {
                let scale = inputs.get(2).map_or(1.0, |scale| scale[index % dim]);
                let keep = if has_keep { keep[index / (tokens * dim)] } else { 1.0 };
                inputs[0][index] + inputs[1][index] * scale * keep
            };
            (0..size).map(value).collect()
        };
        let keep = has_keep.then_some(&kept);
        let output = residual(&x, &branch, None, keep).unwrap();
        agrees(&computed!(weights, output, [x, branch]), &inputs[..2], &weights, F32, reference);
        let output = residual(&x, &branch, Some(&scale), keep).unwrap();
        agrees(&computed!(weights, output, [x, branch, scale]), &inputs, &weights, F32, reference);
    }
}

/// Kernels of several sizes, strides that skip the last pixels or leave some unread, padding beyond the kernel, more channels than are
/// computed at once, and more rows than a task has.
#[test]
fn depthwise_convolutions() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    for (channels, [height, width], kernel, stride, padding) in [
        (18, [4, 5], [3, 3], [1, 1], [1, 1]),
        (2, [19, 3], [5, 5], [1, 1], [2, 2]),
        (1, [8, 9], [7, 7], [1, 1], [3, 3]),
        (3, [6, 7], [3, 3], [2, 2], [1, 1]),
        (2, [9, 8], [2, 4], [3, 2], [0, 1]),
        (2, [3, 4], [1, 1], [2, 3], [0, 0]),
        (2, [3, 4], [1, 2], [1, 1], [2, 3]),
    ] {
        let output =
            [0, 1].map(|axis| ([height, width][axis] + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1);
        let taps = kernel[0] * kernel[1];
        let inputs = [2 * height * width * channels, channels * taps, channels]
            .map(|count| values(&mut rng, count, 1.0));
        let weights = values(&mut rng, 2 * output[0] * output[1] * channels, 1.0);
        let x = leaf(&inputs[0], [2, height, width, channels], DType::F32);
        let weight = leaf(&inputs[1], [channels, 1, kernel[0], kernel[1]], DType::F32);
        let bias = leaf(&inputs[2], [channels], DType::F32);
        let reference = |inputs: &[Vec<f64>]| -> Vec<f64> {
            let mut values = Vec::new();
            for (image, row) in (0..2).flat_map(|image| (0..output[0]).map(move |row| (image, row))) {
                for (column, channel) in
                    (0..output[1]).flat_map(|c| (0..channels).map(move |channel| (c, channel)))
                {
                    let mut sum = inputs.get(2).map_or(0.0, |bias| bias[channel]);
                    for tap in 0..taps {
                        let y = (row * stride[0] + tap / kernel[1]).checked_sub(padding[0]);
                        let x = (column * stride[1] + tap % kernel[1]).checked_sub(padding[1]);
                        if let (Some(y), Some(x)) = (y.filter(|y| *y < height), x.filter(|x| *x < width)) {
                            let pixel = (image * height + y) * width + x;
                            sum += inputs[0][pixel * channels + channel] * inputs[1][channel * taps + tap];
                        }
                    }
                    values.push(sum);
                }
            }
            values
        };
        let found = depthwise(&x, &weight, Some(&bias), stride, padding).unwrap();
        assert_eq!(found.dims(), [2, output[0], output[1], channels]);
        agrees(&computed!(weights, found, [x, weight, bias]), &inputs, &weights, F32, reference);
        let found = depthwise(&x, &weight, None, stride, padding).unwrap();
        agrees(&computed!(weights, found, [x, weight]), &inputs[..2], &weights, F32, reference);
    }
}
