use std::fmt;
use std::str::FromStr;

use burn::tensor::{DType, Device};
use miette::Diagnostic;
use thiserror::Error;

use crate::experiment::{Document, Faults};
use crate::nn::Precision;

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

    /// The precision of the experiment in `document`, if the device, opened as `device`, has it.
    ///
    /// # Errors
    ///
    /// When it has not, where the precision is written; when what is written is not an experiment.
    pub fn precision(self, device: &Device, document: &Document) -> Result<Precision, Faults> {
        let precision = document.experiment()?.precision;
        let refused =
            |message: String, help: &str| document.fault(&["precision"], message, Some(help.to_owned()));
        match (self, precision) {
            (Self::Cpu, Precision::Tf32) => Err(refused(
                "there is no TF32 on the CPU, which computes `F32` and `Bf16`".to_owned(),
                "write `precision: F32`, or compute with `--device cuda`",
            )),
            (_, Precision::Bf16) if !device.supports_dtype(DType::BF16) => {
                Err(refused(format!("`{self}` does not compute in bf16"), "write `precision: F32`"))
            }
            _ => Ok(precision),
        }
    }

    /// How results name it: what must be known to compare speeds.
    pub fn describe(self) -> String {
        match self {
            Self::Cpu => format!("cpu, {} threads", rayon::current_num_threads()),
            Self::Cuda(_) => self.to_string(),
        }
    }

    /// How results name what is computed in `precision` here.
    pub fn describe_with(self, precision: Precision) -> String {
        format!("{}, {}", self.describe(), self.precision_name(precision))
    }

    /// How results name `precision` here: by what is done. On CUDA, burn tries f32 products on TF32 tensor cores too and
    /// takes what is fastest.
    pub fn precision_name(self, precision: Precision) -> &'static str {
        match (self, precision) {
            (_, Precision::Bf16) => "bf16",
            (Self::Cpu, _) => "f32",
            (Self::Cuda(_), _) => "f32 or tf32",
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
