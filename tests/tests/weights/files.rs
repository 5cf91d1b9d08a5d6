//! Files of weights, and what is in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};
use burn::tensor::{Device, Tensor, TensorData};
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensors, serialize};
use vitslim_core::models::Architecture;
use vitslim_core::weights::{Fitted, WeightsError, WeightsFile};

/// Values by name, each with its shape.
pub type Values = BTreeMap<String, (Vec<usize>, Vec<f32>)>;

/// A file of the library's test data.
pub fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vitslim-core/data").join(name)
}

/// The values of a safetensors file.
pub fn values(path: &Path) -> Values {
    let bytes = std::fs::read(path).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let floats =
        |view: TensorView| view.data().as_chunks().0.iter().map(|value| f32::from_le_bytes(*value)).collect();
    tensors.iter().map(|(name, view)| (name.to_owned(), (view.shape().to_vec(), floats(view)))).collect()
}

/// `values` as a safetensors file.
pub fn written(values: &Values) -> Vec<u8> {
    let bytes: BTreeMap<&String, Vec<u8>> = values
        .iter()
        .map(|(name, (_, values))| (name, values.iter().flat_map(|value| value.to_le_bytes()).collect()))
        .collect();
    let views = values.iter().map(|(name, (shape, _))| {
        (name.clone(), TensorView::new(Dtype::F32, shape.clone(), &bytes[name]).unwrap())
    });
    serialize(views, None).unwrap()
}

/// The parameters of `model`, by the names and in the layout of PyTorch.
pub fn parameters<M: Module>(model: &M) -> Values {
    let tensors = model.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false).into_iter();
    let one = |tensor: burn::store::burn_pack::Tensor| {
        let values = burn::store::bridge::to_data(&tensor).unwrap().try_into_vec().unwrap();
        (tensor.name.clone(), (tensor.shape.to_vec(), values))
    };
    tensors.map(one).collect()
}

/// The configuration of a case in `configs.json`.
pub fn config<A: Architecture>(folder: &str, case: &str) -> A::Config {
    let text = std::fs::read_to_string(data(folder).join("configs.json")).unwrap();
    let mut all: BTreeMap<String, serde_json::Value> = serde_json::from_str(&text).unwrap();
    serde_json::from_value(all.remove(case).unwrap()).unwrap()
}

/// A network as initialised, that with the weights of the file at `path`, and how they fit.
pub fn fitted<A: Architecture>(
    config: &A::Config,
    path: &Path,
    allow_missing: &[&str],
) -> Result<(A, A, Vec<String>), WeightsError> {
    let initial = A::init(config, &Device::flex()).unwrap();
    let allowed: Vec<String> = allow_missing.iter().map(|&pattern| pattern.to_owned()).collect();
    let fitted: Fitted = WeightsFile::open(path)?.fit(&initial, &allowed)?;
    let notes = fitted.told();
    let network = fitted.into_network(initial.clone())?;
    Ok((initial, network, notes))
}

/// A tensor of `values`.
pub fn tensor<const D: usize>(values: &Values, name: &str) -> Tensor<D> {
    let (shape, values) = values[name].clone();
    Tensor::from_data(TensorData::new(values, shape), &Device::flex())
}

/// The largest difference over the largest of `expected`.
#[track_caller]
pub fn difference(found: &[f32], expected: &[f32]) -> f32 {
    assert_eq!(found.len(), expected.len());
    let scale = expected.iter().fold(0.0, |scale: f32, value| scale.max(value.abs()));
    found.iter().zip(expected).map(|(one, other)| (one - other).abs()).fold(0.0, f32::max) / scale
}
