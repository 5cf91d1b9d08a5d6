//! Values and gradients of the layers with fused operations equal those of stock operations in f64 on the CPU.

use burn::tensor::{Device, Tensor, TensorCreationOptions, TensorData, activation, module};

use super::against_stock::{ATTENTION_SCALE, F32, Named, ROUNDS, as_it_is, compare, output_and_gradients};
use super::check::{Check, Checked, rounds};
use super::comparison::{Comparison, host};
use super::draw::{Draw, Values};
use super::failure::Failure;
use super::tolerance::{Products, tolerance};
use crate::nn::{Gelu, HeadLayout, LayerNorm, Linear, TokenGate, TokenSizes};
use crate::slim::index_tensor;
use crate::values::relative_difference;

pub(super) const CHECKS: &[Check] = &[
    Check { name: "matrix_product", run: matrix_product },
    Check { name: "gelu", run: gelu },
    Check { name: "linear", run: linear },
    Check { name: "layer_norm", run: layer_norm },
    Check { name: "attention", run: attention },
    Check { name: "merged_tokens", run: merged_tokens },
    Check { name: "depthwise", run: images::depthwise },
    Check { name: "windows", run: images::windows },
    Check { name: "residual", run: images::residual },
    Check { name: "mlp", run: images::mlp },
];

mod images;

/// Says whether factors were rounded to TF32, which a GPU may do for some sizes and not for others.
fn matrix_product(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    let mut told = Vec::new();
    for size in [64, 256] {
        let mut draw = Draw::new(size as u64);
        let (a, b) = (draw.normal([size, size], 1.0).on(device), draw.normal([size, size], 1.0).on(device));
        let expected = product(&host(a.clone())?, &host(b.clone())?, size);
        let found = host(a.matmul(b))?;
        let case = format!("{size} x {size}");
        let is_f32 = relative_difference(&expected, &found) <= tolerance(device, F32, Products::None);
        told.push(format!("{case} in {}", if is_f32 { "f32" } else { "TF32" }));
        comparison.close_for_its_size(&case, &found, &expected, tolerance(device, F32, Products::One));
    }
    Ok(format!("{}; {}", told.join(", "), comparison.finish()?))
}

/// The product of square matrices in f64, row by row.
fn product(a: &[f64], b: &[f64], size: usize) -> Vec<f64> {
    let mut product = vec![0.0; size * size];
    for (row, a) in product.chunks_exact_mut(size).zip(a.chunks_exact(size)) {
        for (a, b) in a.iter().zip(b.chunks_exact(size)) {
            row.iter_mut().zip(b).for_each(|(value, b)| *value += a * b);
        }
    }
    product
}

fn gelu(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let shape = [draw.size(5), draw.size(40), draw.size(100)];
        let (x, weigh) = (draw.scattered(shape, 3.0), draw.normal(shape, 1.0));
        let with = |gelu: fn(Tensor<3>) -> Tensor<3>| {
            let (x, weigh) = (&x, &weigh);
            move |place: &TensorCreationOptions| {
                let x = x.leaf(place);
                output_and_gradients!(weigh, [x], gelu(x.clone()))
            }
        };
        let [compute, stock] = [with(|x| Gelu::new().forward(x)), with(activation::gelu)];
        compare(&mut comparison, (device, Products::None), &format!("{shape:?}"), compute, stock)?;
    }
    comparison.finish()
}

/// Every second layer may be so large that each of its products has several parts, and the first one is.
fn linear(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let [batch, tokens, d_input, d_output] = match round {
            0 => [9, 70, 200, 300],
            _ if round % 2 == 0 => [4, 70, 50, 70].map(|most| draw.size(most)),
            _ => [9, 100, 250, 300].map(|most| draw.size(most)),
        };
        let x = draw.scattered([batch, tokens, d_input], 1.0);
        let weight = draw.scattered([d_input, d_output], 0.3);
        let bias = draw.normal([d_output], 1.0);
        let weigh = draw.normal([batch, tokens, d_output], 1.0);
        let with = |linear: fn(Tensor<3>, Tensor<2>, Tensor<1>) -> Tensor<3>| {
            let (x, weight, bias, weigh) = (&x, &weight, &bias, &weigh);
            move |place: &TensorCreationOptions| {
                let (x, weight, bias) = (x.leaf(place), weight.leaf(place), bias.leaf(place));
                output_and_gradients!(
                    weigh,
                    [x, weight, bias],
                    linear(x.clone(), weight.clone(), bias.clone())
                )
            }
        };
        let compute = with(|x, weight, bias| {
            Linear { weight: as_it_is(weight), bias: Some(as_it_is(bias)) }.forward(x)
        });
        let stock = with(|x, weight, bias| module::linear(x, weight, Some(bias)));
        let case = format!("{batch} {tokens} {d_input} {d_output}");
        compare(&mut comparison, (device, Products::One), &case, compute, stock)?;
    }
    comparison.finish()
}

/// Also with removed features, which count as zeros, and with factors of tokens; both outputs are concatenated.
fn layer_norm(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let [batch, tokens, kept] = [4, 90, 90].map(|most| draw.size(most));
        // The norm of a single feature is 0.
        let (kept, gone) = (kept + 1, if round % 2 == 0 { 0 } else { draw.size(30) });
        let x = draw.scattered([batch, tokens, kept], 1.0);
        let [gamma, beta] = [(); 2].map(|()| draw.normal([kept], 1.0));
        let factors = draw.normal([tokens], 1.0);
        let weigh = draw.normal([batch, tokens, 2 * kept], 1.0);
        let with = |norm: fn(Tensor<3>, [Tensor<1>; 3], usize) -> [Tensor<3>; 2]| {
            let (x, gamma, beta, factors, weigh) = (&x, &gamma, &beta, &factors, &weigh);
            move |place: &TensorCreationOptions| {
                let x = x.leaf(place);
                let [gamma, beta, factors] = [gamma, beta, factors].map(|values| values.leaf(place));
                output_and_gradients!(weigh, [x, gamma, beta, factors], {
                    let parameters = [gamma.clone(), beta.clone(), factors.clone()];
                    Tensor::cat(norm(x.clone() + 0.5, parameters, gone).into(), 2)
                })
            }
        };
        let compute = with(|x, [gamma, beta, factors], gone| {
            let width = gamma.dims()[0] + gone;
            let (gamma, beta) = (as_it_is(gamma), Some(as_it_is(beta)));
            let norm = LayerNorm { gamma, beta, epsilon: 1e-6, width, heads: 1, of_heads: false };
            let gate = TokenGate::new(factors.dims()[0], 0).gated(factors);
            [norm.forward(x.clone()), gate.scale_norm(&norm, x)]
        });
        let stock = with(|x, [gamma, beta, factors], gone| {
            let normed = stock_layer_norm(x, [gamma, beta], gone);
            [normed.clone(), normed * factors.reshape([1, -1, 1])]
        });
        let case = format!("{batch} {tokens} {kept} of {}", kept + gone);
        compare(&mut comparison, (device, Products::None), &case, compute, stock)?;
    }
    comparison.finish()
}

fn stock_layer_norm(x: Tensor<3>, [gamma, beta]: [Tensor<1>; 2], gone: usize) -> Tensor<3> {
    if gone == 0 {
        return module::layer_norm(x, gamma, Some(beta), 1e-6);
    }
    let ([batch, tokens, kept], place) = (x.dims(), (&x.device(), x.dtype()));
    let whole = Tensor::cat(vec![x, Tensor::zeros([batch, tokens, gone], place)], 2);
    let [gamma, beta] =
        [gamma, beta].map(|values| Tensor::cat(vec![values, Tensor::zeros([gone], place)], 0));
    module::layer_norm(whole, gamma, Some(beta), 1e-6).narrow(2, 0, kept)
}

/// Heads of any size, also 0.
fn attention(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let [batch, tokens, heads] = [5, 40, 4].map(|most| draw.size(most));
        let mut sizes: Vec<usize> = (0..heads).map(|_| draw.size(20)).collect();
        if round % 3 == 1 {
            sizes.insert(draw.size(heads + 1) - 1, 0);
        }
        let features: usize = sizes.iter().sum();
        let qkv = draw.scattered([batch, tokens, 3 * features], 1.5);
        let weigh = draw.normal([batch, tokens, features], 1.0);
        let with = |attend: fn(Tensor<3>, &[usize]) -> Tensor<3>| {
            let (qkv, weigh, sizes): (&Values<3>, &Values<3>, &[usize]) = (&qkv, &weigh, &sizes);
            move |place: &TensorCreationOptions| {
                let qkv = qkv.leaf(place);
                output_and_gradients!(weigh, [qkv], attend(qkv.clone(), sizes))
            }
        };
        let compute = with(|qkv, sizes| {
            HeadLayout { sizes: sizes.to_vec(), scale: ATTENTION_SCALE, ..HeadLayout::new(1, 1) }.attend(qkv)
        });
        let case = format!("{batch} {tokens} {sizes:?}");
        compare(&mut comparison, (device, Products::Attention), &case, compute, with(stock_attention))?;
    }
    comparison.finish()
}

/// The attention of each head separately, with stock operations.
fn stock_attention(qkv: Tensor<3>, heads: &[usize]) -> Tensor<3> {
    let features: usize = heads.iter().sum();
    let mut start = 0;
    let mut outputs = Vec::new();
    for &size in heads.iter().filter(|size| **size > 0) {
        let part = |index: usize| qkv.clone().narrow(2, index * features + start, size);
        let scores = part(0).matmul(part(1).swap_dims(1, 2)) * ATTENTION_SCALE;
        outputs.push(activation::softmax(scores, 2).matmul(part(2)));
        start += size;
    }
    Tensor::cat(outputs, 2)
}

/// Tokens that are merged into those that they are nearly copies of, whatever a device rounds, and the attention to what comes of it.
fn merged_tokens(device: &Device) -> Checked {
    type Merged = fn([Tensor<3>; 2], &[usize]) -> (Tensor<3>, TokenSizes);
    type Attend = fn(&HeadLayout, Tensor<3>, &TokenSizes) -> Tensor<3>;
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let [batch, left, gone] = [4, 30, 30].map(|most| draw.size(most));
        let dims = 23 + draw.size(20);
        // Into which each goes; the first token that stays is of the prefix.
        let into: Vec<usize> = (0..gone).map(|_| draw.size(left)).collect();
        let [class, stay] = [draw.normal([batch, 1, dims], 1.0), draw.normal([batch, left, dims], 1.0)];
        let apart = draw.normal([batch, gone, dims], 0.1);
        let weigh = draw.normal([batch, 1 + left, 2 * dims], 1.0);
        let with = |merged: Merged, attend: Attend| {
            let (class, stay, apart, weigh, into) = (&class, &stay, &apart, &weigh, &into);
            move |place: &TensorCreationOptions| {
                let (class, stay, apart) = (class.leaf(place), stay.leaf(place), apart.leaf(place));
                output_and_gradients!(weigh, [class, stay, apart], {
                    let copies: Vec<usize> = into.iter().map(|token| token - 1).collect();
                    let go =
                        stay.clone().select(1, index_tensor(&copies, &stay.device())) * 2.0 + apart.clone();
                    let (x, sizes) = merged([Tensor::cat(vec![class.clone(), stay.clone()], 1), go], into);
                    let heads = HeadLayout { scale: ATTENTION_SCALE, ..HeadLayout::new(1, x.dims()[2]) };
                    let qkv = x.clone().repeat_dim(2, 3);
                    Tensor::cat(vec![x, attend(&heads, qkv, &sizes)], 2)
                })
            }
        };
        let compute: Merged = |[stay, go], _| {
            let (left, gone, device) = (stay.dims()[1], go.dims()[1], stay.device());
            let index = |from: usize, to: usize| index_tensor(&Vec::from_iter(from..to), &device);
            let gate = TokenGate::new(left + gone, 1).sliced(index(0, left), Some(index(left, left + gone)));
            let mut sizes = TokenSizes::default();
            (gate.merge(Tensor::cat(vec![stay, go], 1), &mut sizes), sizes)
        };
        let compute = with(compute, HeadLayout::attend_sized);
        let stock: Merged = |[stay, go], into| {
            let of = |token: usize| into.iter().enumerate().filter(move |(_, into)| **into == token);
            let mean = |token: usize| {
                let parts = of(token).map(|(gone, _)| go.clone().narrow(1, gone, 1));
                let parts: Vec<_> = std::iter::once(stay.clone().narrow(1, token, 1)).chain(parts).collect();
                Tensor::cat(parts, 1).mean_dim(1)
            };
            let [batch, left, _] = stay.dims();
            let sizes: Vec<f64> = (0..left).map(|token| 1.0 + of(token).count() as f64).collect();
            let place = (&stay.device(), stay.dtype());
            let sizes = Tensor::<3>::from_data(TensorData::new(sizes, [1, left, 1]), place);
            let x = Tensor::cat((0..left).map(mean).collect(), 1);
            (x, TokenSizes::of(sizes.repeat_dim(0, batch)))
        };
        let stock = with(stock, |heads, qkv, sizes| match sizes.bias() {
            Some(bias) => heads.attend_with_bias(qkv, bias),
            None => heads.attend(qkv),
        });
        let case = format!("{batch} {left} {gone} {dims}");
        compare(&mut comparison, (device, Products::Attention), &case, compute, stock)?;
    }
    comparison.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::selftest::tolerance::{GPU, TF32, on_gpu};

    /// A factor with so many bits of fraction.
    fn rounded(value: f64, bits: u32) -> f64 {
        let unit = 2_f64.powi(value.abs().log2().floor() as i32 - bits as i32);
        (value / unit).round() * unit
    }

    #[test]
    fn a_product_in_tf32_is_allowed_on_a_gpu_only_and_one_in_bf16_nowhere() {
        let mut draw = Draw::new(1);
        let [a, b] = [(); 2].map(|()| draw.values([64, 64], 1.0));
        let exact = product(&a, &b, 64);
        let off = |bits| {
            let [a, b] =
                [&a, &b].map(|factor| factor.iter().map(|&value| rounded(value, bits)).collect::<Vec<_>>());
            relative_difference(&exact, &product(&a, &b, 64))
        };
        let (f32, tf32, bf16) = (off(23), off(10), off(7));
        let allowed = on_gpu(F32, Products::One, TF32);
        assert!(
            f32 < F32 && 10.0 * GPU < tf32 && tf32 < allowed && allowed < bf16,
            "{f32:e} {tf32:e} {bf16:e}"
        );
        assert_eq!(tolerance(&Device::flex(), F32, Products::Network), F32);
        assert_eq!(on_gpu(F32, Products::None, TF32), GPU);
    }
}
