//! Reads the golden numbers, and builds the model that they belong to.

use std::path::PathBuf;

use burn::module::Module;
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::SafeTensors;
use serde_json::Value;
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::nn::{HeadLayout, TokenGate};
use vitslim_core::slim::{
    Activation, DimensionAxis, DimensionMapper, Granularity, MaskSet, MaskSpec, Scope, Side, SlimLayer,
    Slimmable, describe,
};

pub const LOGITS: f64 = 2e-5;
pub const GRADIENTS: f64 = 5e-6;
pub const SUMS: f64 = 1e-4;

/// The three variants, and what granularity their head dims have.
pub const VARIANTS: [(&str, Granularity); 3] =
    [("full", Granularity::Unit), ("head", Granularity::Group), ("uniform", Granularity::Uniform)];

pub fn path(file: &str) -> PathBuf {
    let folder = std::env::var_os("VITSLIM_PARITY_DIR").map(PathBuf::from);
    let ours = || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fixtures/parity");
    folder.unwrap_or_else(ours).join(file)
}

pub fn json(file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(path(file)).unwrap()).unwrap()
}

pub struct Tensors(Vec<u8>);

impl Tensors {
    pub fn read(file: &str) -> Self {
        Self(std::fs::read(path(file)).unwrap())
    }

    pub fn data(&self, name: &str) -> (Vec<usize>, Vec<f32>) {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor(name).unwrap_or_else(|_| panic!("{name} is missing"));
        let values = view.data().chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        (view.shape().to_vec(), values.collect())
    }

    pub fn values(&self, name: &str) -> Vec<f64> {
        self.data(name).1.into_iter().map(f64::from).collect()
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Tensor<D> {
        let (shape, values) = self.data(name);
        Tensor::from_data(TensorData::new(values, shape), device)
    }

    pub fn labels(&self, device: &Device) -> Tensor<1, Int> {
        let tensors = SafeTensors::deserialize(&self.0).unwrap();
        let view = tensors.tensor("labels").unwrap();
        let labels: Vec<i64> =
            view.data().chunks(8).map(|b| i64::from_le_bytes(b.try_into().unwrap())).collect();
        let count = labels.len();
        Tensor::from_data(TensorData::new(labels, [count]), device)
    }
}

/// The model of the fixtures. `prefix` is the number of tokens without a mask: 0 for the reference, 1 by our rules.
pub fn model(prefix: usize, device: &Device) -> Vit {
    let config = &json("selection.json")["config"];
    let size = |field: &str| config[field].as_u64().unwrap() as usize;
    let config = VitConfig {
        image_size: size("img_size"),
        patch_size: size("patch_size"),
        channels: size("in_chans"),
        classes: size("num_classes"),
        dim: size("embed_dim"),
        depth: size("depth"),
        heads: size("num_heads"),
        mlp_ratio: config["mlp_ratio"].as_f64().unwrap(),
        qkv_bias: config["qkv_bias"].as_bool().unwrap(),
        dropout: 0.0,
        drop_path: 0.0,
    };
    let mut model = Vit::init(&config, device).unwrap();
    let mut weights = SafetensorsStore::from_file(path("vit_slim_tiny.safetensors"))
        .with_from_adapter(PyTorchToBurnAdapter);
    let loaded = model.load_from(&mut weights).unwrap();
    assert!(loaded.missing.is_empty() && loaded.unused.is_empty(), "{loaded:?}");
    model.map_dimensions(&mut Prefix { scope: Scope::default(), prefix })
}

struct Prefix {
    scope: Scope,
    prefix: usize,
}

impl DimensionMapper for Prefix {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, _: &str, layout: HeadLayout) -> HeadLayout {
        layout
    }

    fn map_tokens(&mut self, _: &str, gate: TokenGate) -> TokenGate {
        TokenGate::new(gate.tokens, self.prefix)
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, _: DimensionAxis, layer: L, _: S) -> L {
        layer
    }
}

/// The name of a dimension's masks in the fixtures.
pub fn zeta(path: &str) -> String {
    path.replace("head_dim", "zeta").replace("hidden", "zeta").replace("tokens", "attn.patch_zeta")
}

/// Masks for those dimensions of `model` that have one of `names`, with the values of the fixture, and all the same
/// penalty weight of 0.01.
pub fn masks(model: &Vit, variant: &str, names: &[&str], prefix: usize) -> MaskSet {
    let file = Tensors::read(&format!("masks_{variant}.safetensors"));
    let granularity = VARIANTS.iter().find(|(name, _)| *name == variant).unwrap().1;
    let device = model.devices()[0].clone();
    let searched: Vec<_> = describe(model)
        .unwrap()
        .into_iter()
        .filter(|dimension| names.contains(&dimension.name()))
        .map(|dimension| {
            let spec = match dimension.name() {
                "head_dim" => MaskSpec { granularity, ..MaskSpec::default() },
                "tokens" => MaskSpec { activation: Activation::Tanh, init: 3.0, ..MaskSpec::default() },
                _ => MaskSpec::default(),
            };
            (dimension, MaskSpec { weight: 0.01, ..spec })
        })
        .collect();
    MaskSet::new(&searched, &device).map_values(|path, old| {
        let values = file.data(&zeta(path)).1;
        let start = if path.ends_with("tokens") { prefix } else { 0 };
        let values = values[start..].to_vec();
        assert_eq!(old.dims(), [values.len()], "{path}");
        Tensor::from_data(TensorData::new(values.clone(), [values.len()]), &device)
    })
}

pub fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().convert::<f64>().try_into_vec().unwrap()
}

#[track_caller]
pub fn assert_close(what: &str, found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len(), "{what}: another number of values");
    assert!(!found.is_empty(), "{what}: nothing to compare");
    let differences = found.iter().zip(expected).map(|(a, b)| (a - b).abs());
    let worst = differences.fold(0.0, |worst: f64, d| if d.is_nan() { f64::NAN } else { worst.max(d) });
    assert!(worst <= tolerance, "{what}: differs by {worst:e}, allowed are {tolerance:e}");
}

/// A JSON array of any depth, flattened.
pub fn flat(value: &Value) -> Vec<f64> {
    match value {
        Value::Array(items) => items.iter().flat_map(flat).collect(),
        Value::Bool(on) => vec![f64::from(u8::from(*on))],
        number => vec![number.as_f64().unwrap()],
    }
}
