//! What is bf16 and what stays f32, of layers and of a whole network.

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{DType, Device, Distribution, Tensor, TensorData};
use burn_ir::{FloatOperationIr, ModuleOperationIr, OperationIr};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vitslim_core::data::ImageShape;
use vitslim_core::graph::{capture, macs};
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::nn::{Conv2dConfig, HeadLayout, Linear, LinearConfig, Precision};
use vitslim_core::slim::{Cut, MaskSet, MaskSpec, Plan, Slimmable, describe};
use vitslim_core::values::random;

/// Of the logits' scale: a product is off by at most half of bf16's last place, 2^-9, and errors add up over layers.
const TOLERANCE: f64 = 0.02;

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    assert_eq!(tensor.dtype(), DType::F32);
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

fn tensor<const D: usize>(values: impl Into<TensorData>) -> Tensor<D> {
    Tensor::from_data(values, &Device::flex().autodiff())
}

/// Largest difference of two networks' logits, over the largest logit.
fn difference(a: Tensor<2>, b: Tensor<2>) -> f64 {
    let (a, b) = (host(a), host(b));
    let scale = a.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
    a.iter().zip(&b).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max) / scale
}

#[test]
fn factors_are_rounded_sums_and_biases_are_not() {
    // The places of bf16 lie 2^-7 apart from 1 to 2.
    let x = tensor::<2>([[1.0 + 1.0 / 512.0, 1.0 + 1.0 / 128.0]]);
    let weight = tensor::<2>([[1.0, 0.0], [0.0, 1.0 + 1.0 / 512.0]]);
    let bias = tensor::<1>([0.0, 1.0 / 1024.0]);
    let layer = Linear { weight: Param::from_tensor(weight), bias: Some(Param::from_tensor(bias)) };
    let linear = || host(layer.forward(x.clone()));
    assert_eq!(Precision::Bf16.within(linear), [1.0, 1.0 + 1.0 / 128.0 + 1.0 / 1024.0]);
    assert!(Precision::F32.within(linear)[0] > 1.0);

    // A sum in bf16 would stay at 256.
    let many = Precision::Bf16.within(|| {
        let ones = Tensor::<2>::ones([1, 300], &x.device());
        let layer = Linear { weight: Param::from_tensor(ones.clone().transpose()), bias: None };
        host(layer.forward(ones))
    });
    assert_eq!(many, [300.0]);
}

/// Values and gradients of the layers, of f32 type, and near those in f32 but not the same.
#[test]
fn layers_take_and_give_f32_in_both_directions() {
    let device = Device::flex().autodiff();
    let mut draw = Randomise(ChaCha8Rng::seed_from_u64(1));
    let x = random::<3>([2, 5, 24], &mut draw.0, &device).require_grad();
    let images = random::<4>([2, 3, 9, 9], &mut draw.0, &device).require_grad();
    let layer = LinearConfig::new(24, 7).init(&device).map(&mut draw);
    let conv = Conv2dConfig::new([3, 4], [2, 2]).init(&device).map(&mut draw);
    let values = |precision: Precision| {
        precision.within(|| {
            let linear = layer.forward(x.clone());
            let conv_output = conv.forward(images.clone());
            let heads = HeadLayout { sizes: vec![5, 2, 1], scale: 0.4, ..HeadLayout::new(1, 1) };
            let attention = heads.attend(x.clone());
            let gradients = (linear.clone().square().sum()
                + conv_output.clone().square().sum()
                + attention.clone().square().sum())
            .backward();
            vec![
                ("linear", host(linear)),
                ("convolution", host(conv_output)),
                ("attention", host(attention)),
                ("gradient of the weight", host(layer.weight.grad(&gradients).unwrap())),
                ("gradient of the bias", host(layer.bias.as_ref().unwrap().grad(&gradients).unwrap())),
                ("gradient of the kernel", host(conv.weight.grad(&gradients).unwrap())),
                ("gradient of the input", host(x.grad(&gradients).unwrap())),
                ("gradient of the images", host(images.grad(&gradients).unwrap())),
            ]
        })
    };
    for ((what, exact), (_, rounded)) in values(Precision::F32).iter().zip(&values(Precision::Bf16)) {
        let scale = exact.iter().fold(0.0, |most: f64, value| most.max(value.abs()));
        let furthest = exact.iter().zip(rounded).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
        assert!(furthest > 0.0 && furthest < TOLERANCE * scale, "{what}: {furthest} of {scale}");
    }
}

/// Every parameter random: a bias of 0 would hide where it is added.
struct Randomise(ChaCha8Rng);

impl ModuleMapper for Randomise {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| {
            let values = (0..old.dims().iter().product()).map(|_| self.0.random_range(-0.3_f32..0.3));
            let values = TensorData::new(values.collect::<Vec<_>>(), old.dims());
            Tensor::from_data(values, &old.device()).set_require_grad(old.is_require_grad())
        })
    }
}

const IMAGE: ImageShape = ImageShape { channels: 1, size: 8 };

fn model(seed: u64) -> Vit {
    let config = VitConfig {
        image_size: IMAGE.size,
        patch_size: 2,
        channels: IMAGE.channels,
        classes: 10,
        dim: 24,
        depth: 3,
        heads: 3,
        ..VitConfig::default()
    };
    let model = Vit::init(&config, &Device::flex()).unwrap();
    model.map(&mut Randomise(ChaCha8Rng::seed_from_u64(seed)))
}

fn images() -> Tensor<4> {
    Tensor::random([16, 1, 8, 8], Distribution::Normal(0.0, 1.0), &Device::flex())
}

#[test]
fn a_network_in_bf16_is_near_the_one_in_f32() {
    for seed in 0..5 {
        let (model, images) = (model(seed), images());
        let exact = model.forward(images.clone()).class;
        let rounded = Precision::Bf16.within(|| model.forward(images.clone())).class;
        let difference = difference(exact.clone(), rounded);
        assert!(difference > 1e-5 && difference < TOLERANCE, "{difference}");
        let free = Precision::Tf32.within(|| model.forward(images)).class;
        assert_eq!(host(free), host(exact), "there is no TF32 on the CPU");
    }
}

#[test]
fn hard_masked_and_sliced_networks_agree_in_bf16() {
    for seed in 0..5 {
        let (model, images) = (model(seed), images());
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut plan = Plan::whole(&describe(&model).unwrap());
        let is_cut =
            |cut: &&mut Cut| !cut.dimension.ends_with("tokens") && !cut.dimension.ends_with("branch");
        let features = plan.cuts.iter_mut().filter(is_cut);
        features.for_each(|cut| cut.keep.retain(|_| rng.random_bool(0.6)));
        let (masked, sliced) = (model.hard_mask(&plan).unwrap(), model.slim(&plan).unwrap());
        let difference = Precision::Bf16.within(|| {
            difference(masked.forward(images.clone()).class, sliced.forward(images.clone()).class)
        });
        assert!(difference < TOLERANCE, "{difference}");
        let uncut = Precision::Bf16
            .within(|| self::difference(model.forward(images.clone()).class, sliced.forward(images).class));
        assert!(uncut > 5.0 * TOLERANCE, "{uncut}: the plan cuts too little to tell");
    }
}

/// The captured forward pass of a gated network: products and nothing else are in bf16, and its MACs are the same.
#[test]
fn products_are_in_bf16_and_norms_activations_and_softmax_in_f32() {
    let model = model(1);
    let dimensions = describe(&model).unwrap().into_iter();
    let searched: Vec<_> = dimensions.map(|dimension| (dimension, MaskSpec::default())).collect();
    let gated = model.gate(&MaskSet::new(&searched, &Device::flex()));
    let captured = Precision::Bf16.within(|| capture(&gated, IMAGE, 1)).unwrap();
    let (mut products, mut others) = (0, 0);
    for operation in &captured.graph.operations {
        let is_product = match operation {
            OperationIr::Float(_, FloatOperationIr::Matmul(_)) => true,
            OperationIr::Module(ModuleOperationIr::Linear(_) | ModuleOperationIr::Conv2d(_)) => true,
            OperationIr::Module(ModuleOperationIr::LayerNorm(_)) | OperationIr::Activation(_) => false,
            _ => continue,
        };
        let expected = if is_product { DType::BF16 } else { DType::F32 };
        for tensor in operation.inputs().chain(operation.outputs()) {
            assert_eq!(tensor.dtype, expected, "{operation:?}");
        }
        *(if is_product { &mut products } else { &mut others }) += 1;
    }
    // The patch embedding, six products a block, and the head; three norms, softmax and GELU.
    assert_eq!((products, others), (1 + 3 * 6 + 1, 3 * 4 + 1));
    assert_eq!(Precision::Bf16.within(|| macs(&gated, IMAGE)).unwrap(), macs(&gated, IMAGE).unwrap());
}
