//! Reads the golden numbers, and builds their model.

use std::borrow::Cow;
use std::path::Path;

use burn::module::Module;
use burn::store::{ModuleSnapshot, PyTorchToBurnAdapter, SafetensorsStore};
use burn::tensor::{Device, Int, Tensor, TensorData};
use safetensors::{Dtype, SafeTensors, serialize};
use serde::de::DeserializeOwned;

use super::golden::Selection;
use crate::models::{Architecture, Vit, VitConfig};
use crate::nn::TokenGate;
use crate::selftest::Failure;
use crate::selftest::tolerance::{Products, tolerance};
use crate::slim::{Activation, DimensionMapper, Granularity, MaskSet, MaskSpec, Scope, Slimmable, describe};

/// Environment variable with a folder of files to read instead of those in the binary.
pub const FOLDER_VARIABLE: &str = "VITSLIM_PARITY_DIR";

macro_rules! files {
    ($($name:literal),+ $(,)?) => {
        &[$(($name, include_bytes!(concat!("../../../data/parity/", $name)).as_slice())),+]
    };
}

const FILES: &[(&str, &[u8])] = files![
    "grads.safetensors",
    "io.safetensors",
    "masks_full.safetensors",
    "masks_head.safetensors",
    "masks_uniform.safetensors",
    "removed.json",
    "removed.safetensors",
    "selection.json",
    "vit_slim_tiny.safetensors",
];

/// How far logits and activations may be off on `device`.
pub(super) fn logits_tolerance(device: &Device) -> f64 {
    tolerance(device, 2e-5, Products::Network)
}

/// How far losses may be off on `device`.
pub(super) fn loss_tolerance(device: &Device) -> f64 {
    tolerance(device, GRADIENTS, Products::Network)
}

/// How far losses and gradients may be off on the CPU.
pub(super) const GRADIENTS: f64 = 5e-6;

/// How far sums of masks may be off.
pub(super) const SUMS: f64 = 1e-4;

/// The dimensions that the reference searches.
pub(super) const SEARCHED: [&str; 3] = ["head_dim", "hidden", "tokens"];

/// The three variants, and the granularity of their head dims.
pub(super) const VARIANTS: [(&str, Granularity); 3] =
    [("full", Granularity::Unit), ("head", Granularity::Group), ("uniform", Granularity::Uniform)];

fn bytes(file: &str) -> Result<Cow<'static, [u8]>, Failure> {
    if let Some(folder) = std::env::var_os(FOLDER_VARIABLE) {
        let path = Path::new(&folder).join(file);
        let read = std::fs::read(&path);
        let failure =
            |error| Failure::new(format!("{FOLDER_VARIABLE}: cannot read `{}`: {error}", path.display()));
        return read.map(Cow::Owned).map_err(failure);
    }
    let known = FILES.iter().find(|(name, _)| *name == file);
    known.map(|(_, bytes)| Cow::Borrowed(*bytes)).ok_or_else(|| missing(file))
}

fn missing(what: &str) -> Failure {
    Failure::new(format!("`{what}` is missing"))
}

pub(super) fn json<T: DeserializeOwned>(file: &str) -> Result<T, Failure> {
    serde_json::from_slice(&bytes(file)?).map_err(|error| Failure::new(format!("{file}: {error}")))
}

pub(super) struct Tensors(Cow<'static, [u8]>);

impl Tensors {
    pub fn read(file: &str) -> Result<Self, Failure> {
        bytes(file).map(Self)
    }

    pub fn from_bytes(bytes: &'static [u8]) -> Self {
        Self(Cow::Borrowed(bytes))
    }

    /// Bytes and shape of a tensor with values of `N` bytes.
    fn view<const N: usize>(&self, name: &str) -> Result<(Vec<[u8; N]>, Vec<usize>), Failure> {
        let tensors = SafeTensors::deserialize(&self.0)?;
        let view = tensors.tensor(name)?;
        let (values, []) = view.data().as_chunks::<N>() else { return Err(missing(name)) };
        Ok((values.to_vec(), view.shape().to_vec()))
    }

    fn floats(&self, name: &str) -> Result<(Vec<f32>, Vec<usize>), Failure> {
        let (values, shape) = self.view(name)?;
        Ok((values.into_iter().map(f32::from_le_bytes).collect(), shape))
    }

    /// The values of a tensor of any type that the files have.
    pub fn values(&self, name: &str) -> Result<Vec<f64>, Failure> {
        Ok(match SafeTensors::deserialize(&self.0)?.tensor(name)?.dtype() {
            Dtype::F64 => self.view(name)?.0.into_iter().map(f64::from_le_bytes).collect(),
            Dtype::U16 => self.view(name)?.0.into_iter().map(|b| f64::from(u16::from_le_bytes(b))).collect(),
            Dtype::U8 => self.view(name)?.0.into_iter().map(|[byte]| f64::from(byte)).collect(),
            _ => self.floats(name)?.0.into_iter().map(f64::from).collect(),
        })
    }

    /// A file of the tensors whose names begin with `prefix`, without it.
    pub fn below(&self, prefix: &str) -> Result<Vec<u8>, Failure> {
        let tensors = SafeTensors::deserialize(&self.0)?;
        let below = tensors.iter().filter_map(|(name, view)| Some((name.strip_prefix(prefix)?, view)));
        Ok(serialize(below, None)?)
    }

    pub fn tensor<const D: usize>(&self, name: &str, device: &Device) -> Result<Tensor<D>, Failure> {
        let (values, shape) = self.floats(name)?;
        Ok(Tensor::from_data(TensorData::new(values, shape), device))
    }

    pub fn labels(&self, device: &Device) -> Result<Tensor<1, Int>, Failure> {
        let (values, shape) = self.view("labels")?;
        let labels: Vec<_> = values.into_iter().map(i64::from_le_bytes).collect();
        Ok(Tensor::from_data(TensorData::new(labels, shape), device))
    }
}

/// The configuration of the model of the golden numbers.
pub(super) fn config() -> Result<VitConfig, Failure> {
    let config = json::<Selection>("selection.json")?.config;
    Ok(VitConfig {
        image_size: config.img_size,
        patch_size: config.patch_size,
        channels: config.in_chans,
        classes: config.num_classes,
        dim: config.embed_dim,
        depth: config.depth,
        heads: config.num_heads,
        mlp_ratio: config.mlp_ratio,
        qkv_bias: config.qkv_bias,
        ..VitConfig::default()
    })
}

/// The model of the golden numbers. `prefix` is the number of tokens without a mask: 0 in the reference, 1 by vitslim's rules.
pub(super) fn model(prefix: usize, device: &Device) -> Result<Vit, Failure> {
    let model = load(Vit::init(&config()?, device)?, &bytes("vit_slim_tiny.safetensors")?)?;
    Ok(model.map_dimensions(&mut Prefix { scope: Scope::default(), prefix }))
}

/// `model` with the weights of a PyTorch file, which must have exactly its parameters.
pub(super) fn load<M: Module>(mut model: M, weights: &[u8]) -> Result<M, Failure> {
    let weights = SafetensorsStore::from_bytes(Some(weights.to_vec()));
    let loaded = model.load_from(&mut weights.with_from_adapter(PyTorchToBurnAdapter))?;
    if !loaded.missing.is_empty() || !loaded.unused.is_empty() || !loaded.errors.is_empty() {
        return Err(Failure::new(format!("the weights do not fit the model: {loaded:?}")));
    }
    Ok(model)
}

struct Prefix {
    scope: Scope,
    prefix: usize,
}

impl DimensionMapper for Prefix {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_tokens(&mut self, _: &str, gate: TokenGate) -> TokenGate {
        TokenGate::new(gate.tokens, self.prefix)
    }
}

/// The name of a dimension's masks in the files.
pub(super) fn zeta(path: &str) -> String {
    path.replace("head_dim", "zeta").replace("hidden", "zeta").replace("tokens", "attn.patch_zeta")
}

/// How the reference initialises the masks of a dimension.
pub(super) fn spec(name: &str, granularity: Granularity) -> MaskSpec {
    match name {
        "head_dim" => MaskSpec { granularity, ..MaskSpec::default() },
        "tokens" => MaskSpec { activation: Activation::Tanh, init: 3.0, ..MaskSpec::default() },
        _ => MaskSpec::default(),
    }
}

/// Masks for the dimensions of `model` with one of `names`: the values of the file, and a penalty weight of 0.01.
pub(super) fn masks(
    model: &Vit,
    variant: (&str, Granularity),
    names: &[&str],
    prefix: usize,
) -> Result<MaskSet, Failure> {
    let (variant, granularity) = variant;
    let file = Tensors::read(&format!("masks_{variant}.safetensors"))?;
    let device = model.devices().first().cloned().unwrap_or_default();
    let mut searched = describe(model)?;
    searched.retain(|dimension| names.contains(&dimension.name()));
    let mut values = Vec::new();
    for dimension in &searched {
        let all = file.floats(&zeta(&dimension.path))?.0;
        let start = if dimension.is_tokens() { prefix } else { 0 };
        values.push(all.get(start..).unwrap_or_default().to_vec());
    }
    let spec = |name: &str| MaskSpec { weight: 0.01, ..spec(name, granularity) };
    let searched: Vec<_> = searched.into_iter().map(|d| (d.clone(), spec(d.name()))).collect();
    let masks = MaskSet::new(&searched, &device);
    if let Some((mask, _)) = masks.iter().zip(&values).find(|(mask, v)| mask.values.dims() != [v.len()]) {
        return Err(Failure::new(format!("the masks of `{}` have another size", mask.path)));
    }
    let mut values = values.into_iter();
    Ok(masks.map_values(|_, old| match values.next() {
        Some(values) => Tensor::from_data(TensorData::new(values, old.dims()), &device),
        None => old,
    }))
}
