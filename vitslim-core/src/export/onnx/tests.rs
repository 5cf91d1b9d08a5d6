use std::collections::HashSet;

use burn::module::Module;
use burn::tensor::{Device, Tensor};

use super::*;
use crate::export::feature::features;
use crate::models::{Architecture, ConfigError, Logits, Vit, VitConfig};
use crate::slim::{Plan, Slimmable, describe};

/// Name of the file, which is never too large.
const WHOLE: (&str, usize) = ("a.onnx", MOST_BYTES);

const IMAGE: ImageShape = ImageShape { channels: 1, size: 8 };

fn config() -> VitConfig {
    ron::from_str("(image_size: 8, channels: 1, classes: 3, patch_size: 4, dim: 8, depth: 2, heads: 2)")
        .unwrap()
}

/// A ViT after which something is done that no file can say.
#[derive(Module, Debug, Slimmable)]
struct Odd<const KIND: u8> {
    #[slim]
    vit: Vit,
}

impl<const KIND: u8> Architecture for Odd<KIND> {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        Ok(Self { vit: Vit::init(config, device)? })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let logits = match KIND {
            0 => self.vit.forward(images.clone()).class.cumsum(1),
            1 => self.vit.forward(images.cumsum(3)).class,
            _ => self.vit.forward(images.clone()).class / images.dims()[0] as f64,
        };
        logits.into()
    }
}

fn error_of<const KIND: u8>() -> String {
    let model = Odd::<KIND>::init(&config(), &Device::flex()).unwrap();
    let trace = Trace::new(&model, IMAGE);
    trace.and_then(|trace| file(&trace, IMAGE, &[], &[], WHOLE)).unwrap_err().to_string()
}

#[test]
fn what_cannot_be_written_is_told_with_its_place() {
    assert_eq!(error_of::<0>(), "the forward pass uses `CumSum`, which vitslim cannot write as ONNX yet");
    assert_eq!(
        error_of::<1>(),
        "the forward pass uses `CumSum` in `vit.patch_embed.proj`, which vitslim cannot write as ONNX yet"
    );
    assert_eq!(error_of::<2>(), "`DivScalar` computes something else for another number of images");
}

#[test]
fn the_graph_is_in_order_and_its_names_say_where_they_are() {
    let model = Vit::init(&config(), &Device::flex()).unwrap();
    let mut plan = Plan::whole(&describe(&model).unwrap());
    plan.get_mut("blocks.0.attn.head_dim").unwrap().keep = vec![0, 1, 2, 5];
    plan.get_mut("blocks.1.tokens").unwrap().keep = vec![1, 3];
    let trace = Trace::new(&model.slim(&plan).unwrap(), IMAGE).unwrap();
    let features = features(&trace, &["blocks.1".to_owned(), "head".to_owned()]).unwrap();
    let metadata = [("classes", "[1, 2, 3]".to_owned())];
    let bytes = file(&trace, IMAGE, &features, &metadata, WHOLE).unwrap().network;
    let model = ModelProto::decode(&bytes[..]).unwrap();
    assert_eq!(model.metadata_props[0].value.as_deref(), Some("[1, 2, 3]"));
    let graph = model.graph.unwrap();

    let dims = |value: &ValueInfoProto| {
        let shape = value.r#type.clone().unwrap().tensor_type.unwrap().shape.unwrap();
        (value.name.clone().unwrap(), shape.dim.into_iter().map(|dim| dim.value.unwrap()).collect::<Vec<_>>())
    };
    let batch = || Dim::Param("batch".to_owned());
    let sizes = [1, 8, 8].map(Dim::Value);
    assert_eq!(dims(&graph.input[0]), ("images".to_owned(), [&[batch()], &sizes[..]].concat()));
    assert_eq!(dims(&graph.output[0]), ("logits".to_owned(), vec![batch(), Dim::Value(3)]));
    assert_eq!(dims(&graph.output[1]), ("blocks.1".to_owned(), vec![batch(), Dim::Value(3), Dim::Value(8)]));
    assert_eq!(dims(&graph.output[2]), ("head".to_owned(), vec![batch(), Dim::Value(3)]));

    let mut there: HashSet<&str> = HashSet::from(["images"]);
    for initializer in &graph.initializer {
        let name = initializer.name.as_deref().unwrap();
        assert!(there.insert(name), "{name} is there twice");
        assert!(
            graph.node.iter().any(|node| node.input.iter().any(|input| input == name)),
            "nobody reads {name}"
        );
    }
    for node in &graph.node {
        for input in &node.input {
            assert!(there.contains(input.as_str()), "{node:?} reads {input} before it is made");
        }
        assert!(node.output.iter().all(|output| there.insert(output)), "{node:?} is made twice");
    }
    for output in &graph.output {
        assert!(there.contains(output.name.as_deref().unwrap()), "{output:?}");
    }
    for name in ["blocks.0.attn.qkv.weight", "blocks.1.mlp.fc2.bias", "pos_embed", "norm.weight", "head.bias"]
    {
        assert!(
            graph.initializer.iter().any(|initializer| initializer.name.as_deref() == Some(name)),
            "{name}"
        );
    }
    let node = |name: &str| graph.node.iter().any(|node| node.name.as_deref() == Some(name));
    for name in [
        "blocks.0.attn.qkv/MatMul",
        "blocks.0.attn/Softmax",
        "blocks.0.attn/Softmax_1",
        "blocks.1.norm1/LayerNormalization",
        "blocks.1.mlp/Gelu",
        "blocks/Gather",
        "blocks.1/Identity",
    ] {
        assert!(node(name), "there is no {name}: {:?}", graph.node);
    }
    let ours =
        graph.initializer.iter().find(|tensor| tensor.name.as_deref() == Some("blocks.0.attn.qkv.weight"));
    assert_eq!(ours.unwrap().dims, [8, 12]);
}

#[test]
fn large_tensors_of_a_file_that_is_too_large_lie_beside_it() {
    let model = Vit::init(&config(), &Device::flex()).unwrap();
    let trace = Trace::new(&model, IMAGE).unwrap();
    let initializers = |bytes: &[u8]| ModelProto::decode(bytes).unwrap().graph.unwrap().initializer;
    let whole = file(&trace, IMAGE, &[], &[], WHOLE).unwrap();
    assert!(whole.weights.is_none());
    let parts = file(&trace, IMAGE, &[], &[], ("a.onnx", whole.network.len() - 1)).unwrap();
    let weights = parts.weights.unwrap();

    let (mut moved, mut end) = (0, 0);
    for (before, after) in initializers(&whole.network).into_iter().zip(initializers(&parts.network)) {
        let values = before.raw_data.unwrap();
        if values.len() < 1024 {
            assert_eq!((after.raw_data, after.data_location), (Some(values), None));
            continue;
        }
        let entry = |key: &str| {
            let entry = after.external_data.iter().find(|entry| entry.key.as_deref() == Some(key)).unwrap();
            entry.value.clone().unwrap()
        };
        assert_eq!((after.raw_data.is_none(), after.data_location), (true, Some(1)));
        assert_eq!(
            (entry("location"), entry("length")),
            ("a.onnx.data".to_owned(), values.len().to_string())
        );
        let offset: usize = entry("offset").parse().unwrap();
        assert!(offset.is_multiple_of(4096) && offset >= end);
        end = offset + values.len();
        assert_eq!(weights[offset..end], values);
        moved += 1;
    }
    assert!(moved > 1 && end == weights.len(), "{moved}");

    let error = file(&trace, IMAGE, &[], &[], ("a.onnx", 1000)).unwrap_err().to_string();
    assert!(error.contains("without its weights, but at most 1000 are possible"), "{error}");
}
