//! The presets are the published networks, by their parameters and multiply-adds.

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::capture::tensor_id;
use super::macs_of_graph;
use crate::models::{Architecture, ConvNext, Swin};

/// Parameters and multiply-adds of an image of 224 x 224. The weights are recorded too, as what is still to be drawn.
fn counts<A: Architecture>(config: &A::Config) -> (usize, u64) {
    let recorder = Device::capture();
    let mut parameters = 0;
    let graph = recorder.capture_scope(|scope| {
        let model = A::init(config, &recorder).unwrap();
        parameters = Module::num_params(&model);
        let images = Tensor::zeros([1, 3, 224, 224], &recorder);
        let logits = model.forward(images).mean();
        scope.complete([], [tensor_id(&logits).unwrap()])
    });
    (parameters, macs_of_graph(&graph.unwrap()).unwrap())
}

/// Asserts the parameters of each preset, as timm counts them, and its multiply-adds in billions, as the paper does.
fn assert_published<A: Architecture>(published: &[(&str, usize, &str)]) {
    let found = A::presets().into_iter().map(|(name, config)| {
        let (parameters, macs) = counts::<A>(&config);
        (name, parameters, format!("{:.1}", macs as f64 / 1e9))
    });
    let published =
        published.iter().map(|&(name, parameters, billions)| (name, parameters, billions.to_owned()));
    assert_eq!(found.collect::<Vec<_>>(), published.collect::<Vec<_>>());
}

#[test]
fn swin() {
    assert_published::<Swin>(&[
        ("swin_tiny_patch4_window7_224", 28_288_354, "4.5"),
        ("swin_small_patch4_window7_224", 49_606_258, "8.7"),
        ("swin_base_patch4_window7_224", 87_768_224, "15.4"),
    ]);
}

#[test]
fn convnext() {
    assert_published::<ConvNext>(&[
        ("convnext_tiny", 28_589_128, "4.5"),
        ("convnext_small", 50_223_688, "8.7"),
        ("convnext_base", 88_591_464, "15.4"),
        ("convnext_large", 197_767_336, "34.4"),
    ]);
}
