//! The runner.
//!
//! `command` has a file for each command; the others hold what commands share.

mod allocator;
mod app;
mod command;
mod device;
mod interrupt;
mod page;
mod print;
mod process;
mod registry;
mod reports;
mod run_one;
mod sweep;

pub use allocator::Allocator;
pub use app::main;
pub use device::{ChooseDeviceError, CudaError, CudaVersion, DeviceArgs, DeviceChoice, OpenDevice};
pub use registry::Registry;
