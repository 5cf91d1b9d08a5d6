//! The NVIDIA driver, with what is needed to choose a device.

use super::cuda_error::{CudaError, CudaVersion};
use crate::report::CudaDevice;

/// An NVIDIA driver and its devices, at least one.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::cli) struct CudaDriver {
    /// Its version, if it reports one.
    pub driver: Option<String>,
    /// The newest CUDA that it supports.
    pub version: CudaVersion,
    /// The devices, by index.
    pub devices: Vec<CudaDevice>,
    /// Whether burn finds everything else that it needs to use them.
    pub usable: Result<(), CudaError>,
}

#[cfg(not(feature = "cuda"))]
pub(in crate::cli) fn look() -> Result<CudaDriver, CudaError> {
    Err(CudaError::NotCompiled)
}
