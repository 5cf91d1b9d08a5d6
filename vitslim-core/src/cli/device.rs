use std::fmt;
use std::str::FromStr;

use burn::tensor::Device;
use miette::Diagnostic;
use thiserror::Error;

/// Where to compute: `cpu`, `cuda` or `cuda:N`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The CPU.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
}

/// A device that cannot be had.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum DeviceError {
    /// The binary has no CUDA backend.
    #[error("`{0}` was asked for, but this vitslim was built without CUDA")]
    #[diagnostic(help("build it with `cargo build --release --features cuda`, or run with `--device cpu`"))]
    NotCompiled(DeviceChoice),
    /// There is no such device.
    #[error("`{wanted}` was asked for, but {found}")]
    #[diagnostic(help(
        "see `nvidia-smi` and the environment variable CUDA_VISIBLE_DEVICES, or run with `--device cpu`"
    ))]
    NotPresent {
        /// What was asked for.
        wanted: DeviceChoice,
        /// What there is.
        found: String,
    },
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            Some(("cuda", index)) => index
                .parse()
                .map(Self::Cuda)
                .map_err(|_| format!("`{index}` is no index of a CUDA device; write for example `cuda:0`")),
            _ => Err(format!("unknown device `{text}`; there are `cpu`, `cuda` and `cuda:N`")),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl DeviceChoice {
    /// Opens the device.
    ///
    /// # Errors
    ///
    /// When it is a CUDA device, and CUDA was not compiled in or the device is not there.
    pub fn open(self) -> Result<Device, DeviceError> {
        match self {
            Self::Cpu => Ok(Device::flex()),
            Self::Cuda(index) => open_cuda(self, index),
        }
    }

    /// How results name it: what must be known to compare speeds.
    pub fn describe(self) -> String {
        match self {
            Self::Cpu => {
                let threads = rayon::current_num_threads();
                format!("cpu, {threads} threads, f32")
            }
            Self::Cuda(_) => format!("{self}, f32"),
        }
    }
}

#[cfg(not(feature = "cuda"))]
fn open_cuda(wanted: DeviceChoice, _: usize) -> Result<Device, DeviceError> {
    Err(DeviceError::NotCompiled(wanted))
}

/// Burn panics at the first tensor where there is no driver, so the devices are asked for first.
#[cfg(feature = "cuda")]
fn open_cuda(wanted: DeviceChoice, index: usize) -> Result<Device, DeviceError> {
    let devices = std::panic::catch_unwind(|| Device::enumerate(burn::tensor::DeviceType::Cuda));
    let count = devices.map_or(0, |devices| devices.len());
    match index < count {
        true => Ok(Device::cuda(index)),
        false => {
            let found = match count {
                0 => "no CUDA device or driver was found".to_owned(),
                1 => "there is only `cuda:0`".to_owned(),
                count => format!("there are only `cuda:0` to `cuda:{}`", count - 1),
            };
            Err(DeviceError::NotPresent { wanted, found })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn devices_are_read_as_written() {
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CPU"] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }
}
