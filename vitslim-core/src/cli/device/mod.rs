//! The device that computes, chosen by the command line and the experiment.

mod choice;
#[cfg(feature = "cuda")]
mod cuda;
mod cuda_error;
mod driver;
mod list;

pub(super) use choice::DEVICE_HELP;
pub use choice::{ChooseDeviceError, DeviceArgs, DeviceChoice, OpenDevice};
#[cfg(feature = "cuda")]
pub(super) use cuda::{keep_kernels, look};
pub use cuda_error::{CudaError, CudaVersion};
pub(super) use driver::CudaDriver;
#[cfg(not(feature = "cuda"))]
pub(super) use driver::look;
pub(super) use list::{DeviceList, open_list, open_only};
