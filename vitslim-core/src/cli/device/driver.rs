//! The NVIDIA driver, as far as a choice of a device needs it.

use super::trouble::{CudaTrouble, CudaVersion};
use crate::report::CudaDevice;

/// An NVIDIA driver and its devices, at least one.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct CudaDriver {
    /// Its version, where it tells.
    pub driver: Option<String>,
    /// The newest CUDA that it is for.
    pub version: CudaVersion,
    /// The devices, by index.
    pub devices: Vec<CudaDevice>,
    /// Whether burn finds all else that it needs to use them.
    pub usable: Result<(), CudaTrouble>,
}

#[cfg(not(feature = "cuda"))]
pub(in crate::cli) fn look() -> Result<CudaDriver, CudaTrouble> {
    Err(CudaTrouble::NotCompiled)
}

/// How `--device` calls the CUDA device `index`.
pub(super) fn cuda_name(index: usize) -> String {
    format!("cuda:{index}")
}
