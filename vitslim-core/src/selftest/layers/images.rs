//! Layers of networks that compute on images, and the branches of their blocks.

use burn::tensor::{DType, Device, TensorCreationOptions};

use crate::models::{Mlp, MlpConfig};
use crate::nn::{BranchGate, Conv2d, DropPath, HeadLayout, Linear, Windows};
use crate::selftest::against_stock::{
    ATTENTION_SCALE, F32, Named, ROUNDS, as_it_is, compare, output_and_gradients,
};
use crate::selftest::check::{Checked, rounds};
use crate::selftest::comparison::{Comparison, host};
use crate::selftest::draw::{Draw, Values};
use crate::selftest::failure::Failure;
use crate::selftest::tolerance::{Products, tolerance};

/// Kernels of 1 to 7, with steps and padding.
pub(super) fn depthwise(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let [batch, channels, height, width] = [3, 40, 20, 20].map(|most| draw.size(most));
        let (kernel, stride) = ([7, 7].map(|most| draw.size(most)), [2, 2].map(|most| draw.size(most)));
        let padding = kernel.map(|size| size / 2);
        let output = [(0, height), (1, width)]
            .map(|(axis, size)| (size + 2 * padding[axis] - kernel[axis]) / stride[axis] + 1);
        let x = draw.scattered([batch, channels, height, width], 1.0);
        let weight = draw.normal([channels, 1, kernel[0], kernel[1]], 0.2);
        let bias = draw.normal([channels], 1.0);
        let weigh = draw.normal([batch, channels, output[0], output[1]], 1.0);
        let with = |place: &TensorCreationOptions| {
            let (x, weight, bias) = (x.leaf(place), weight.leaf(place), bias.leaf(place));
            let (w, b) = (as_it_is(weight.clone()), Some(as_it_is(bias.clone())));
            let conv = Conv2d { weight: w, bias: b, stride, padding, groups: channels };
            output_and_gradients!(weigh, [x, weight, bias], conv.forward(x.clone()))
        };
        let case = format!("{batch} {channels} {height} x {width} by {kernel:?} / {stride:?}");
        // In f64, the CPU has no operation of ours for it.
        compare(&mut comparison, (device, Products::One), &case, with, with)?;
    }
    comparison.finish()
}

/// Windows of an image, shifted or not, with a bias, and several queries for each head.
pub(super) fn windows(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let [batch, along, size, heads, queries] = [3, 3, 4, 3, 2].map(|most| draw.size(most));
        let (side, patches) = (along * size, size * size);
        let sizes: Vec<usize> = (0..heads).map(|_| draw.size(10)).collect();
        let qk: Vec<usize> = (0..heads).map(|_| draw.size(10)).collect();
        let [all_qk, all_v] = [&qk, &sizes].map(|sizes| sizes.iter().sum::<usize>());
        let layout = HeadLayout { sizes, qk: Some(qk), scale: ATTENTION_SCALE, queries };
        let qkv = draw.scattered([batch, side * side, (queries + 1) * all_qk + all_v], 1.5);
        let bias = draw.normal([1, heads * queries, patches, patches], 1.0);
        let weigh = draw.normal([batch, side * side, queries * all_v], 1.0);
        let with = |place: &TensorCreationOptions| {
            let (qkv, bias) = (qkv.leaf(place), bias.leaf(place));
            let windows = Windows::new(side, size, round % 2 == 1, &qkv.device()).of(qkv.dtype());
            let output = layout.attend_in_windows(qkv.clone(), bias.clone(), &windows);
            output_and_gradients!(weigh, [qkv, bias], output)
        };
        let case = format!("{batch} {side} {size} {:?} {queries}", layout.sizes);
        compare(&mut comparison, (device, Products::Attention), &case, with, with)?;
    }
    comparison.finish()
}

/// A branch that is added with a scale.
pub(super) fn residual(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let shape = [4, 40, 50].map(|most| draw.size(most));
        let (x, branch) = (draw.scattered(shape, 1.0), draw.scattered(shape, 1.0));
        let (scale, weigh) = (draw.normal([shape[2]], 1.0), draw.normal(shape, 1.0));
        let with = |place: &TensorCreationOptions| {
            let (x, branch, scale) = (x.leaf(place), branch.leaf(place), scale.leaf(place));
            let added =
                BranchGate::new()
                    .add_scaled(x.clone(), Some(scale.clone()), &DropPath::new(0.0), |_| branch.clone());
            output_and_gradients!(weigh, [x, branch, scale], added)
        };
        compare(&mut comparison, (device, Products::None), &format!("{shape:?}"), with, with)?;
    }
    comparison.finish()
}

/// An MLP where no gradients are computed.
pub(super) fn mlp(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let mut draw = Draw::new(round);
        let [batch, tokens, dim, hidden] = [4, 200, 50, 150].map(|most| draw.size(most));
        let x = draw.scattered([batch, tokens, dim], 1.0);
        let weights = (draw.normal([dim, hidden], 0.1), draw.normal([hidden, dim], 0.1));
        let biases = (draw.normal([hidden], 0.5), draw.normal([dim], 0.5));
        let output = |place: &TensorCreationOptions, device: &Device| {
            let layer = |weight: &Values<2>, bias: &Values<1>| Linear {
                weight: as_it_is(weight.on(place.clone())),
                bias: Some(as_it_is(bias.on(place.clone()))),
            };
            let (fc1, fc2) = (layer(&weights.0, &biases.0), layer(&weights.1, &biases.1));
            let mlp = Mlp { fc1, fc2, ..MlpConfig::new(1, 1).init(device) };
            host(mlp.forward(x.on(place.clone())))
        };
        let found = output(&device.into(), device)?;
        let expected = output(&(&Device::flex(), DType::F64).into(), &Device::flex())?;
        let case = format!("{batch} {tokens} {dim} {hidden}");
        let tolerance = tolerance(device, F32, Products::Attention);
        comparison.close_for_its_size(&case, &found, &expected, tolerance);
    }
    comparison.finish()
}
