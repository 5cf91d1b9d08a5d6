//! The presets are the published networks, by their parameters and multiply-adds.

use burn::tensor::{Device, Tensor};

use super::capture::tensor_id;
use super::macs_of_graph;
use crate::models::{Architecture, ConvNext, DistilledVit, Parameter, Swin, Vit};

/// Parameters and multiply-adds of an image. The weights are recorded too, as what is still to be drawn.
fn counts<A: Architecture>(config: &A::Config) -> (usize, u64) {
    let recorder = Device::capture();
    let mut parameters = 0;
    let graph = recorder.capture_scope(|scope| {
        let model = A::init(config, &recorder).unwrap();
        parameters = Parameter::count(&model);
        let side = serde_json::to_value(config).unwrap()["image_size"].as_u64().unwrap() as usize;
        let images = Tensor::zeros([1, 3, side, side], &recorder);
        let logits = model.forward(images).mean();
        scope.complete([], [tensor_id(&logits).unwrap()])
    });
    (parameters, macs_of_graph(&graph.unwrap()).unwrap())
}

/// Asserts the parameters of each preset, as timm counts them, and its multiply-adds in billions, as the paper does, or torch's
/// `FlopCounterMode` on timm's network.
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
fn vit() {
    assert_published::<Vit>(&[
        ("vit_tiny_patch16_224", 5_717_416, "1.3"),
        ("vit_small_patch16_224", 22_050_664, "4.6"),
        ("vit_base_patch16_224", 86_567_656, "17.6"),
        ("vit_small_patch14_dinov2", 22_441_192, "46.7"),
        ("vit_base_patch14_dinov2", 87_348_712, "151.6"),
        ("vit_small_patch14_reg4_dinov2", 22_442_344, "46.9"),
        ("vit_base_patch14_reg4_dinov2", 87_351_016, "152.1"),
        ("deit_tiny_patch16_224", 5_717_416, "1.3"),
        ("deit_small_patch16_224", 22_050_664, "4.6"),
        ("deit_base_patch16_224", 86_567_656, "17.6"),
        ("deit3_small_patch16_224", 22_059_496, "4.6"),
        ("deit3_base_patch16_224", 86_585_320, "17.6"),
    ]);
}

#[test]
fn deit_distilled() {
    assert_published::<DistilledVit>(&[
        ("deit_tiny_distilled_patch16_224", 5_910_800, "1.3"),
        ("deit_small_distilled_patch16_224", 22_436_432, "4.6"),
        ("deit_base_distilled_patch16_224", 87_338_192, "17.7"),
    ]);
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

/// `bench/count.py` compares with fvcore layer by layer, also what is cut.
#[test]
fn multiply_adds_are_those_that_fvcore_counts() {
    fn macs<A: Architecture>(preset: &str) -> u64 {
        let config = A::presets().into_iter().find(|(name, _)| *name == preset).unwrap().1;
        counts::<A>(&config).1
    }
    assert_eq!(macs::<Vit>("deit_tiny_patch16_224"), 1_253_683_200);
    assert_eq!(macs::<Vit>("deit_small_patch16_224"), 4_598_882_304);
    assert_eq!(macs::<Vit>("deit_base_patch16_224"), 17_563_828_224);
    assert_eq!(macs::<Swin>("swin_tiny_patch4_window7_224"), 4_490_566_656);
    assert_eq!(macs::<ConvNext>("convnext_tiny"), 4_455_531_264);
}
