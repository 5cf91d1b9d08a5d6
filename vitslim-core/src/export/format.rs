//! The formats of an export.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use ::safetensors::tensor::TensorView;
use ::safetensors::{Dtype, SafeTensors};
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot};
use burn::tensor::{DType, TensorData};

use super::error::ExportError;
use super::trace::Trace;
use super::{onnx, pytorch};
use crate::data::ImageShape;
use crate::models::Architecture;
use crate::run::{Subnet, described_weights};
use crate::slim::{Plan, heads_as_planned};

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

/// The files of `subnet` in `format`: `out`, and others beside it.
///
/// # Errors
///
/// When the network cannot be written in the format, or `out` is no name for it.
pub fn export<A: Architecture>(subnet: &Subnet<A>, format: Format, out: &Path) -> Result<Files, ExportError> {
    let Subnet { model, plan, network, label, .. } = subnet;
    let image = network.images.shape();
    let description = subnet.metadata().map_err(|error| ExportError::Weights(error.to_string()))?;
    match format {
        Format::Onnx => {
            let json = |value: serde_json::Value| value.to_string();
            let metadata = [
                ("classes", json(network.classes.clone().into())),
                ("images", json(serde_json::to_value(&network.images).unwrap_or_default())),
                ("vitslim", description),
            ];
            Ok(vec![(out.to_owned(), to_onnx(model, image, &metadata)?)])
        }
        Format::Safetensors => Ok(vec![(out.to_owned(), weights(model, plan, &description)?)]),
        Format::Pytorch => {
            let is_python = out.extension() == Some(OsStr::new("py"));
            let module = out.file_stem().and_then(OsStr::to_str).filter(|name| is_python && is_module(name));
            let module = module.ok_or_else(|| ExportError::NoModule(out.to_owned()))?;
            let title =
                format!("The network `{label}` of a `{}` that vitslim trained.", network.architecture);
            let files = to_pytorch(model, plan, image, module, &title, &description)?;
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

/// `model` as an ONNX file for images of shape `image`. The input is `images`, `[batch, channels, height, width]`; the output is
/// `logits`, `[batch, classes]`. `metadata` are names and texts that the file carries.
///
/// # Errors
///
/// When an operation has no form in ONNX, or the file would be too large.
pub fn to_onnx<A: Architecture>(
    model: &A,
    image: ImageShape,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, ExportError> {
    onnx::file(&Trace::new(model, image)?, image, metadata)
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
/// is. `metadata` are those of the safetensors file.
///
/// # Errors
///
/// When an operation has no form in PyTorch.
pub fn to_pytorch<A: Architecture>(
    model: &A,
    plan: &Plan,
    image: ImageShape,
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
    let module = pytorch::module(&trace, module, title, transposed)?;
    let weights = weights(model, plan, metadata)?;
    let weights = if module.constants.is_empty() { weights } else { with(&weights, &module.constants)? };
    Ok(PythonFiles { text: module.text, weights })
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
