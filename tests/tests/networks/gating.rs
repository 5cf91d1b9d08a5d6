//! What gating leaves as it is, told by the identity of tensors in a recording.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::{Device, Tensor};
use burn_capture::{CaptureBackend, TensorId};
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::slim::{MaskSet, MaskSpec, Slimmable, describe};

fn id<const D: usize>(tensor: &Tensor<D>) -> TensorId {
    tensor.clone().try_into_primitive::<CaptureBackend>().unwrap().id()
}

/// Path and tensor of each parameter.
#[derive(Default)]
struct Tensors {
    path: Vec<String>,
    found: Vec<(String, TensorId)>,
}

impl ModuleVisitor for Tensors {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.path.join("."), id(&param.val())));
    }
}

fn tensors(model: &Vit) -> Vec<(String, TensorId)> {
    let mut tensors = Tensors::default();
    model.visit(&mut tensors);
    tensors.found
}

/// The parameters that are other tensors than before when the dimensions `searched` of `model` are gated.
fn made_anew(model: &Vit, searched: &[&str]) -> Vec<String> {
    let dimensions = describe(model).unwrap();
    let searched: Vec<_> = dimensions
        .into_iter()
        .filter(|dimension| searched.contains(&dimension.path.as_str()))
        .map(|dimension| (dimension, MaskSpec::default()))
        .collect();
    let mut made = Vec::new();
    let recorder = Device::capture();
    let graph = recorder.capture_scope(|scope| {
        let model = model.clone().to_device(&recorder);
        let gated = model.gate(&MaskSet::new(&searched, &recorder));
        let pairs = tensors(&model).into_iter().zip(tensors(&gated));
        made.extend(pairs.filter(|(old, new)| old != new).map(|((path, _), _)| path));
        scope.complete([], [])
    });
    graph.unwrap();
    made
}

#[test]
fn what_is_not_searched_stays_the_very_same_tensor() {
    let config =
        VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 2, ..VitConfig::default() };
    let model = Vit::init(&config, &Device::flex()).unwrap();
    let nothing: [String; 0] = [];
    assert_eq!(made_anew(&model, &[]), nothing);
    assert_eq!(made_anew(&model, &["blocks.1.tokens"]), nothing);
    assert_eq!(made_anew(&model, &["blocks.1.mlp.hidden"]), ["blocks.1.mlp.fc2.weight"]);
    assert_eq!(
        made_anew(&model, &["blocks.1.mlp_branch"]),
        ["blocks.1.mlp.fc2.weight", "blocks.1.mlp.fc2.bias"]
    );
    assert_eq!(
        made_anew(&model, &["blocks.0.attn.head_dim", "blocks.0.mlp.hidden"]),
        ["blocks.0.attn.qkv.weight", "blocks.0.attn.qkv.bias", "blocks.0.mlp.fc2.weight"]
    );
}
