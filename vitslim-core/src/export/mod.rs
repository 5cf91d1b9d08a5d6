//! Networks for other programs: ONNX, safetensors, and PyTorch.
//!
//! ONNX and PyTorch are written from the recorded forward pass, operation by operation, so that they compute any architecture.

#[cfg(test)]
mod documented;
mod error;
mod feature;
mod format;
mod names;
mod onnx;
mod pointwise;
mod pytorch;
mod trace;

pub use error::ExportError;
pub use format::{Files, Format, OnnxSetting, PythonFiles, export, to_onnx, to_pytorch};
pub use onnx::OnnxFiles;

pub use crate::run::{SubnetFile, SubnetFileError};
