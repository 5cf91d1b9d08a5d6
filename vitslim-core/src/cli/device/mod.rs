//! The device that computes, chosen by the command line and the experiment.

mod choice;
#[cfg(feature = "cuda")]
mod cuda;
mod driver;
mod list;
mod trouble;

pub(super) use choice::DEVICE_HELP;
pub use choice::{DeviceArgs, DeviceChoice, DeviceError, OpenDevice};
#[cfg(feature = "cuda")]
pub(super) use cuda::{keep_kernels, look};
pub(super) use driver::CudaDriver;
#[cfg(not(feature = "cuda"))]
pub(super) use driver::look;
pub(super) use list::{DeviceList, open_list};
pub use trouble::{CudaTrouble, CudaVersion};
