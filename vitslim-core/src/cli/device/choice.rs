use std::fmt;
use std::str::FromStr;

use burn::backend::{Backend, DTypeUsage, Dispatch};
use burn::tensor::{DType, Device};
use clap::Args;
use miette::Diagnostic;
use thiserror::Error;

#[cfg(feature = "cuda")]
use super::cuda::look;
use super::cuda_error::CudaError;
use super::driver::CudaDriver;
#[cfg(not(feature = "cuda"))]
use super::driver::look;
use crate::device::{has_tf32, memory};
use crate::experiment::{ExperimentErrors, Trial};
use crate::nn::Precision;
use crate::report::CudaDevice;
use crate::terminal::{counted, say};

/// The `--help` of `--device`.
pub(in crate::cli) const DEVICE_HELP: &str = if cfg!(feature = "cuda") {
    "Device that computes: cpu, cuda, cuda:N, or auto for the first CUDA device or else the CPU; `vitslim devices` lists them"
} else if cfg!(feature = "native") {
    "Device that computes: cpu, native, which runs the GPU code on the CPU, or auto, which is cpu: this vitslim was built without CUDA"
} else {
    "Device that computes: cpu, or auto, which is also the CPU: this vitslim was built without CUDA"
};

/// The `--device` argument that commands share.
#[derive(Debug, Args)]
pub struct DeviceArgs {
    #[arg(long, value_name = "DEVICE", default_value_t, help = DEVICE_HELP)]
    device: DeviceChoice,
}

/// Where to compute: `auto`, `cpu`, `cuda`, `cuda:N` or `native`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first CUDA device, else the CPU.
    Auto,
    /// The CPU.
    Cpu,
    /// The CUDA device of this index.
    Cuda(usize),
    /// The CPU, running the GPU code.
    Native,
}

/// An open device, ready to compute.
#[derive(Debug)]
pub struct OpenDevice {
    /// The device itself.
    pub device: Device,
    /// What results call it, without the precision.
    pub name: String,
    /// Bytes of its memory.
    pub memory: u64,
}

impl OpenDevice {
    /// The precision of `trial`, if the device has it.
    ///
    /// # Errors
    ///
    /// When the device does not have it, at the place where the experiment sets the precision.
    pub fn precision(&self, trial: &Trial) -> Result<Precision, ExperimentErrors> {
        let precision = trial.experiment.precision;
        let refused = |message: String, help: &str| {
            trial.document.error(&["precision"], message, Some(help.to_owned()))
        };
        match precision {
            Precision::Tf32 if !has_tf32(&self.device) => Err(refused(
                "there is no TF32 on the CPU, which computes `F32` and `Bf16`".to_owned(),
                "write `precision: F32`, or choose `--device cuda`",
            )),
            Precision::Bf16 if !self.converts_bf16() => {
                Err(refused(format!("{} does not compute in bf16", self.name), "write `precision: F32`"))
            }
            _ => Ok(precision),
        }
    }

    /// What results call `precision` on this device: by what it computes.
    pub fn precision_name(&self, precision: Precision) -> &'static str {
        match precision {
            Precision::Bf16 => "bf16",
            _ if has_tf32(&self.device) => "f32 or tf32",
            _ => "f32",
        }
    }

    /// Whether it has conversions to and from bf16. Layers ask for no other arithmetic in it than products.
    fn converts_bf16(&self) -> bool {
        Dispatch::dtype_usage(self.device.as_dispatch(), DType::BF16).contains(DTypeUsage::Storage)
    }

    /// What results call the device when it computes in `precision`: everything needed to compare speeds.
    pub fn describe_with(&self, precision: Precision) -> String {
        format!("{}, {}", self.name, self.precision_name(precision))
    }
}

/// A device that is not available.
#[derive(Debug, Error, Diagnostic, PartialEq, Eq)]
pub enum ChooseDeviceError {
    /// No CUDA device can be used.
    #[error("`{wanted}` was asked for, but {trouble}")]
    #[diagnostic(help("{}, or run with `--device cpu`", .trouble.remedy()))]
    Unusable {
        /// The device that was asked for.
        wanted: DeviceChoice,
        /// Why CUDA cannot be used.
        trouble: CudaError,
    },
    /// There are CUDA devices, but not this one.
    #[error("`{wanted}` was asked for, but there {}", .found)]
    #[diagnostic(help(
        "`vitslim devices` lists them; CUDA_VISIBLE_DEVICES hides devices and changes their numbers; or run with `--device cpu`"
    ))]
    NotPresent {
        /// The device that was asked for.
        wanted: DeviceChoice,
        /// The devices that there are, as the end of the message.
        found: String,
    },
    /// The binary has no such device.
    #[error("`native` was asked for, but this vitslim was built without it")]
    #[diagnostic(help(
        "build it with `cargo build --release --features native`, or run with `--device cpu`"
    ))]
    NotNative,
}

impl Default for DeviceChoice {
    fn default() -> Self {
        if cfg!(feature = "cuda") { Self::Auto } else { Self::Cpu }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "auto" => Ok(Self::Auto),
            None if text == "cpu" => Ok(Self::Cpu),
            None if text == "cuda" => Ok(Self::Cuda(0)),
            None if text == "native" => Ok(Self::Native),
            Some(("cuda", index)) => index.parse().map(Self::Cuda).map_err(|_| {
                format!("`{index}` is not the index of a CUDA device; write for example `cuda:0`")
            }),
            _ => Err(format!(
                "unknown device `{text}`; there are `auto`, `cpu`, `cuda`, `cuda:N` and `native`"
            )),
        }
    }
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => write!(f, "auto"),
            Self::Cpu => write!(f, "cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
            Self::Native => write!(f, "native"),
        }
    }
}

impl DeviceArgs {
    /// The device that was asked for.
    pub(in crate::cli) fn choice(&self) -> DeviceChoice {
        self.device
    }

    /// Opens the device; see [`DeviceChoice::open`].
    ///
    /// # Errors
    ///
    /// When the device is not available.
    pub fn open(&self, quiet: bool) -> Result<OpenDevice, ChooseDeviceError> {
        self.device.open(quiet)
    }
}

impl DeviceChoice {
    /// Opens the device. If it was chosen automatically, prints which one it is. With `quiet` it prints only that a GPU cannot
    /// be used.
    ///
    /// # Errors
    ///
    /// When a CUDA device was asked for, and CUDA was not compiled in, the device does not exist, or it cannot be used.
    pub fn open(self, quiet: bool) -> Result<OpenDevice, ChooseDeviceError> {
        let chosen = choose(self, look)?;
        if let Some(line) = chosen.said(self)
            && !(quiet && matches!(chosen, Chosen::Cuda(..)))
        {
            say(line);
        }
        let device = match chosen {
            #[cfg(feature = "cuda")]
            Chosen::Cuda(index, _) => Device::cuda(index),
            #[cfg(feature = "native")]
            Chosen::Native => Device::cpu(),
            // No choice leads to what was not compiled in.
            _ => Device::flex(),
        };
        Ok(OpenDevice { device, name: chosen.name(), memory: chosen.memory() })
    }
}

/// A device that was chosen.
#[derive(Debug, PartialEq)]
enum Chosen {
    /// The CPU, and why `auto` did not choose a CUDA device.
    Cpu(Option<CudaError>),
    /// The CUDA device with this index.
    Cuda(usize, CudaDevice),
    /// The CPU, running the GPU code.
    Native,
}

/// The device that `choice` stands for, given the driver that `look` finds.
fn choose(
    choice: DeviceChoice,
    look: impl FnOnce() -> Result<CudaDriver, CudaError>,
) -> Result<Chosen, ChooseDeviceError> {
    let unusable = |trouble| ChooseDeviceError::Unusable { wanted: choice, trouble };
    let usable = |CudaDriver { devices, usable, .. }| usable.map(|()| devices);
    match choice {
        DeviceChoice::Cpu => Ok(Chosen::Cpu(None)),
        DeviceChoice::Native if cfg!(feature = "native") => Ok(Chosen::Native),
        DeviceChoice::Native => Err(ChooseDeviceError::NotNative),
        DeviceChoice::Auto => match look().and_then(usable) {
            Ok(devices) => match devices.into_iter().next() {
                Some(first) => Ok(Chosen::Cuda(0, first)),
                None => Ok(Chosen::Cpu(Some(CudaError::NoDevice(None)))),
            },
            Err(trouble) => Ok(Chosen::Cpu(Some(trouble))),
        },
        DeviceChoice::Cuda(index) => {
            let driver = look().map_err(unusable)?;
            let found = match driver.devices.len() {
                1 => "is only `cuda:0`".to_owned(),
                count => format!("are only `cuda:0` to `cuda:{}`", count.saturating_sub(1)),
            };
            match usable(driver).map_err(unusable)?.into_iter().nth(index) {
                Some(device) => Ok(Chosen::Cuda(index, device)),
                None => Err(ChooseDeviceError::NotPresent { wanted: choice, found }),
            }
        }
    }
}

impl Chosen {
    /// The line that names the chosen device, if `choice` does not name it.
    fn said(&self, choice: DeviceChoice) -> Option<String> {
        match (choice, self) {
            (DeviceChoice::Auto, Self::Cpu(Some(trouble))) => Some(format!("device: cpu, because {trouble}")),
            (DeviceChoice::Auto, Self::Cuda(..)) => Some(format!("device: {}", self.name())),
            _ => None,
        }
    }

    /// What results call it, without the precision.
    fn name(&self) -> String {
        match self {
            Self::Cpu(_) => format!("cpu, {}", counted(rayon::current_num_threads(), "thread", "threads")),
            Self::Cuda(_, CudaDevice { device, name, .. }) => format!("{device}, {name}"),
            Self::Native => "native".to_owned(),
        }
    }

    /// Bytes of its memory.
    fn memory(&self) -> u64 {
        match self {
            Self::Cpu(_) | Self::Native => memory(),
            Self::Cuda(_, device) => device.memory,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::device::CudaVersion;

    #[test]
    fn devices_are_read_as_written() {
        assert_eq!("auto".parse(), Ok(DeviceChoice::Auto));
        assert_eq!("cpu".parse(), Ok(DeviceChoice::Cpu));
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert_eq!("cuda:3".parse(), Ok(DeviceChoice::Cuda(3)));
        assert_eq!("native".parse(), Ok(DeviceChoice::Native));
        for wrong in ["", "gpu", "cuda:", "cuda:x", "cuda:-1", "cpu:0", "CPU", "auto:0", "native:0"] {
            assert!(wrong.parse::<DeviceChoice>().is_err(), "{wrong}");
        }
    }

    fn driver(devices: usize) -> CudaDriver {
        let device = |index| CudaDevice {
            device: format!("cuda:{index}"),
            name: format!("GPU {index}"),
            memory: 1 << 30,
            compute_capability: "9.0".to_owned(),
        };
        let devices = (0..devices).map(device).collect();
        CudaDriver { driver: None, version: CudaVersion(12080), devices, usable: Ok(()) }
    }

    #[test]
    fn auto_is_the_first_gpu_or_the_cpu_and_says_why() {
        let choose = |found: Result<CudaDriver, CudaError>| {
            let chosen = choose(DeviceChoice::Auto, || found).unwrap();
            (chosen.said(DeviceChoice::Auto), chosen.name())
        };
        let gpu = (Some("device: cuda:0, GPU 0".to_owned()), "cuda:0, GPU 0".to_owned());
        assert_eq!(choose(Ok(driver(2))), gpu);
        let cpu = format!("cpu, {}", counted(rayon::current_num_threads(), "thread", "threads"));
        let why = |trouble: &CudaError| (Some(format!("device: cpu, because {trouble}")), cpu.clone());
        for trouble in [CudaError::NotCompiled, CudaError::NoDriver, CudaError::NoDevice(None)] {
            assert_eq!(choose(Err(trouble.clone())), why(&trouble));
        }
        let trouble = CudaError::NoLibdevice(None);
        assert_eq!(choose(Ok(CudaDriver { usable: Err(trouble.clone()), ..driver(1) })), why(&trouble));
    }

    #[test]
    fn a_device_that_was_asked_for_is_that_one_or_an_error() {
        let choose = |index, found| choose(DeviceChoice::Cuda(index), || found);
        let chosen = choose(1, Ok(driver(2))).unwrap();
        assert_eq!((chosen.said(DeviceChoice::Cuda(1)), chosen.memory()), (None, 1 << 30));
        assert_eq!(chosen, Chosen::Cuda(1, driver(2).devices.remove(1)));
        let said = |error: ChooseDeviceError| (error.to_string(), error.help().unwrap().to_string());
        for (devices, found) in [(1, "there is only `cuda:0`"), (3, "there are only `cuda:0` to `cuda:2`")] {
            let (error, help) = said(choose(7, Ok(driver(devices))).unwrap_err());
            assert_eq!(error, format!("`cuda:7` was asked for, but {found}"));
            assert!(help.contains("vitslim devices") && help.contains("CUDA_VISIBLE_DEVICES"), "{help}");
        }
        let trouble = CudaError::OldDriver { found: CudaVersion(12040), least: CudaVersion(12080) };
        let (error, help) = said(choose(0, Err(trouble)).unwrap_err());
        assert_eq!(
            error,
            "`cuda:0` was asked for, but the NVIDIA driver is too old: it supports CUDA up to 12.4, but 12.8 is needed"
        );
        assert!(
            help.contains("update the NVIDIA driver") && help.ends_with("or run with `--device cpu`"),
            "{help}"
        );
    }

    #[test]
    fn the_cpu_is_chosen_without_a_look_at_cuda() {
        let choose = |choice| choose(choice, || panic!("it looked"));
        let chosen = choose(DeviceChoice::Cpu).unwrap();
        assert_eq!((chosen.said(DeviceChoice::Cpu), chosen), (None, Chosen::Cpu(None)));
        let native =
            if cfg!(feature = "native") { Ok(Chosen::Native) } else { Err(ChooseDeviceError::NotNative) };
        assert_eq!(choose(DeviceChoice::Native), native);
    }
}
