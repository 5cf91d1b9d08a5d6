//! The formats of an export.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ::safetensors::tensor::TensorView;
use ::safetensors::{Dtype, SafeTensors};
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};
use burn::tensor::{DType, TensorData};
use serde_json::{Map, Value};

use super::error::ExportError;
use super::feature::{described, features};
use super::trace::Trace;
use super::{OnnxFiles, onnx, pytorch};
use crate::data::ImageShape;
use crate::models::Architecture;
use crate::run::{Subnet, described_weights};
use crate::slim::{Plan, PlanError, describe, heads_as_planned};

/// A format of other programs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// One file for ONNX runtimes.
    Onnx,
    /// One file with the weights under timm's names, and all that vitslim needs to build the network.
    Safetensors,
    /// A Python file that needs torch alone, and a safetensors file beside it.
    Pytorch,
}

impl Format {
    /// The file beside `out` that a large network has in this format, and a small one lacks.
    pub fn beside(self, out: &Path) -> Option<PathBuf> {
        let name = out.file_name().unwrap_or_default().to_string_lossy();
        (self == Self::Onnx).then(|| out.with_file_name(onnx::weights_of(&name)))
    }

    /// The files that any network has in this format: `out`, and what lies beside it.
    ///
    /// # Errors
    ///
    /// When `out` is no name for the file.
    pub fn files(self, out: &Path) -> Result<Vec<PathBuf>, ExportError> {
        Ok(match self {
            Self::Onnx | Self::Safetensors => vec![out.to_owned()],
            Self::Pytorch => {
                module_of(out)?;
                vec![out.with_extension("safetensors"), out.to_owned()]
            }
        })
    }

    /// What to know before another program reads `subnet` in this format.
    pub fn note<A: Architecture>(self, subnet: &Subnet<A>) -> Option<&'static str> {
        (self == Self::Safetensors && subnet.has_cut_tokens()).then_some(
            "timm may load this file without an error, but cuts no tokens, and then computes something else: for other programs, \
             export to ONNX or PyTorch",
        )
    }
}

/// Paths of files, and what goes into them.
pub type Files = Vec<(PathBuf, Vec<u8>)>;

/// The files of `subnet` in `format`: `out`, and others beside it. What comes out of the modules at the paths `features` are outputs
/// too.
///
/// # Errors
///
/// When the network cannot be written in the format, a module has no output, or `out` is no name for the file.
pub fn export<A: Architecture>(
    subnet: &Subnet<A>,
    format: Format,
    features: &[String],
    out: &Path,
) -> Result<Files, ExportError> {
    let Subnet { model, plan, network, label, .. } = subnet;
    let image = network.images.shape();
    let description = subnet.metadata().map_err(|error| ExportError::Weights(error.to_string()))?;
    match format {
        Format::Onnx => {
            let json = |value: Value| value.to_string();
            let metadata = [
                ("classes", json(network.classes.clone().into())),
                ("images", json(serde_json::to_value(&network.images).unwrap_or_default())),
                ("vitslim", description),
            ];
            let name = out.file_name().unwrap_or_default().to_string_lossy();
            let setting =
                OnnxSetting { name: &name, features, metadata: &metadata, ..OnnxSetting::default() };
            let OnnxFiles { network, weights } = to_onnx(model, plan, image, &setting)?;
            let beside = |weights| (out.with_file_name(onnx::weights_of(&name)), weights);
            // The network last: with it, the file is complete.
            Ok(weights.map(beside).into_iter().chain([(out.to_owned(), network)]).collect())
        }
        Format::Safetensors if !features.is_empty() => Err(ExportError::Outputs),
        Format::Safetensors => Ok(vec![(out.to_owned(), weights(model, plan, &description)?)]),
        Format::Pytorch => {
            let module = module_of(out)?;
            let title =
                format!("The network `{label}` of a `{}` that vitslim trained.", network.architecture);
            let files = to_pytorch(model, plan, image, features, module, &title, &description)?;
            let weights = out.with_extension("safetensors");
            // The text last: with it, the network is complete.
            Ok(vec![(weights, files.weights), (out.to_owned(), files.text.into_bytes())])
        }
    }
}

/// The safetensors file of the sub-network `model`, which `plan` left, with `metadata`.
fn weights<A: Architecture>(model: &A, plan: &Plan, metadata: &str) -> Result<Vec<u8>, ExportError> {
    described_weights(model, plan, metadata).map_err(|error| ExportError::Weights(error.to_string()))
}

/// How an ONNX file is written.
#[derive(Clone, Copy, Debug)]
pub struct OnnxSetting<'a> {
    /// What it is called: so that it can name the file beside it.
    pub name: &'a str,
    /// Most bytes that it may have. If it would have more, its large tensors lie in a file beside it.
    pub most_bytes: usize,
    /// Paths of the modules whose outputs are outputs of the file too.
    pub features: &'a [String],
    /// Names and texts that it carries.
    pub metadata: &'a [(&'a str, String)],
}

/// A file called `network.onnx` of as many bytes as the format allows, with the logits as its only output.
impl Default for OnnxSetting<'_> {
    fn default() -> Self {
        Self { name: "network.onnx", most_bytes: onnx::MOST_BYTES, features: &[], metadata: &[] }
    }
}

/// The sub-network `model`, which `plan` left, as an ONNX file for images of shape `image`. The input is `images`,
/// `[batch, channels, height, width]`; the output is `logits`, `[batch, classes]`. Further outputs are called by the paths of their
/// modules, and the entry `features` of the metadata describes them.
///
/// # Errors
///
/// When an operation has no form in ONNX, a module has no output, or the file would be too large even without its large tensors.
pub fn to_onnx<A: Architecture>(
    model: &A,
    plan: &Plan,
    image: ImageShape,
    setting: &OnnxSetting,
) -> Result<OnnxFiles, ExportError> {
    let trace = Trace::new(model, image)?;
    let features = features(&trace, setting.features)?;
    let mut metadata = setting.metadata.to_vec();
    if !features.is_empty() {
        let dimensions = describe(model).map_err(PlanError::from)?;
        metadata
            .push(("features", Value::Object(described(&features, &trace, &dimensions, plan)).to_string()));
    }
    onnx::file(&trace, image, &features, &metadata, (setting.name, setting.most_bytes))
}

/// A network for PyTorch.
#[derive(Debug)]
pub struct PythonFiles {
    /// A Python file.
    pub text: String,
    /// The safetensors file beside it.
    pub weights: Vec<u8>,
}

/// The sub-network `model`, which `plan` left, as the Python module called `module`, for images of shape `image`. `title` says what it
/// is. What comes out of the modules at the paths `features` are outputs too. `metadata` are those of the safetensors file, in JSON.
///
/// # Errors
///
/// When an operation has no form in PyTorch, or a module has no output.
pub fn to_pytorch<A: Architecture>(
    model: &A,
    plan: &Plan,
    image: ImageShape,
    features: &[String],
    module: &str,
    title: &str,
    metadata: &str,
) -> Result<PythonFiles, ExportError> {
    let planned = heads_as_planned(model, plan);
    let trace = Trace::new(&planned, image)?;
    let mut layouts = HashMap::new();
    for tensor in planned.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false) {
        let (name, shape) = (tensor.name.clone(), tensor.shape.to_vec());
        let bytes = tensor.into_bytes().map_err(|error| ExportError::Weights(error.to_string()))?;
        layouts.insert(name, (shape, bytes));
    }
    let known: HashMap<_, _> = trace.known.values().map(|known| (known.name.as_str(), known)).collect();
    let transposed = |name: &str| match (known.get(name), layouts.get(name)) {
        (Some(known), Some((shape, bytes))) => {
            known.data.shape().as_slice() != shape || known.data.as_bytes() != &bytes[..]
        }
        _ => false,
    };
    let features = self::features(&trace, features)?;
    let module = pytorch::module(&trace, &features, module, title, transposed)?;
    let file = if features.is_empty() {
        weights(model, plan, metadata)?
    } else {
        let dimensions = describe(model).map_err(PlanError::from)?;
        let features = described(&features, &trace, &dimensions, plan);
        weights(model, plan, &with_features(metadata, features)?)?
    };
    let weights = if module.constants.is_empty() { file } else { with(&file, &module.constants)? };
    Ok(PythonFiles { text: module.text, weights })
}

/// `metadata`, in which the network has `features` too.
fn with_features(metadata: &str, features: Map<String, Value>) -> Result<String, ExportError> {
    let mut metadata: Value =
        serde_json::from_str(metadata).map_err(|error| ExportError::Weights(error.to_string()))?;
    let network = metadata.get_mut("network").and_then(Value::as_object_mut);
    let network =
        network.ok_or_else(|| ExportError::Weights("the metadata describe no network".to_owned()))?;
    network.insert("features".to_owned(), Value::Object(features));
    Ok(metadata.to_string())
}

/// What Python calls the file `out`.
fn module_of(out: &Path) -> Result<&str, ExportError> {
    let is_python = out.extension() == Some(OsStr::new("py"));
    let module = out.file_stem().and_then(OsStr::to_str).filter(|name| is_python && is_module(name));
    module.ok_or_else(|| ExportError::NoModule(out.to_owned()))
}

/// Whether Python can import a file of this name.
fn is_module(name: &str) -> bool {
    let mut letters = name.chars();
    letters.next().is_some_and(|first| first == '_' || first.is_ascii_alphabetic())
        && letters.all(|letter| letter == '_' || letter.is_ascii_alphanumeric())
}

/// The safetensors file `bytes` with `constants` too.
fn with(bytes: &[u8], constants: &[(String, TensorData)]) -> Result<Vec<u8>, ExportError> {
    let failed = |error: ::safetensors::SafeTensorError| ExportError::Weights(error.to_string());
    let (_, metadata) = SafeTensors::read_metadata(bytes).map_err(failed)?;
    let mut tensors = SafeTensors::deserialize(bytes).map_err(failed)?.tensors();
    for (name, data) in constants {
        let dtype = match data.dtype() {
            DType::F32 => Dtype::F32,
            DType::F64 => Dtype::F64,
            DType::I64 => Dtype::I64,
            DType::I32 => Dtype::I32,
            other => return Err(ExportError::Weights(format!("`{name}` has the type {}", other.name()))),
        };
        let view = TensorView::new(dtype, data.shape().as_slice().to_vec(), data.as_bytes());
        tensors.push((name.clone(), view.map_err(failed)?));
    }
    ::safetensors::serialize(tensors, metadata.metadata().clone()).map_err(failed)
}
