//! Why CUDA cannot be used, and what to do.

use std::path::{Path, PathBuf};

use thiserror::Error;

/// The file with CUDA's mathematical functions that a GPU has no instruction for. burn links it into its kernels.
const LIBDEVICE: &str = "nvvm/libdevice/libdevice.10.bc";

/// Where burn looks for a CUDA toolkit if CUDA_PATH is not set.
const TOOLKITS: [&str; 4] = ["/usr/local/cuda", "/opt/cuda", "/usr/lib/cuda", "/usr"];

/// Why CUDA cannot be used.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum CudaError {
    /// The binary has no CUDA backend.
    #[error("this vitslim was built without CUDA")]
    NotCompiled,
    /// The driver's library cannot be loaded.
    #[error("there is no NVIDIA driver: its library, libcuda, cannot be loaded")]
    NoDriver,
    /// The driver lacks functions that burn calls.
    #[error("the NVIDIA driver is too old: it supports CUDA up to {found}, but {least} is needed")]
    OldDriver {
        /// The newest CUDA that it supports.
        found: CudaVersion,
        /// The oldest that is enough.
        least: CudaVersion,
    },
    /// The driver reports no device.
    #[error("the NVIDIA driver finds no device{}", visible(.0.as_deref()))]
    NoDevice(Option<String>),
    /// The driver returns an error.
    #[error("the NVIDIA driver fails with {0}")]
    Driver(String),
    /// The functions that kernels are linked with are missing.
    #[error("CUDA's device functions are missing: there is no {}", missing_libdevice(.0.as_deref()))]
    NoLibdevice(Option<PathBuf>),
}

impl CudaError {
    /// What to do.
    pub fn remedy(&self) -> &'static str {
        match self {
            Self::NotCompiled => "build it with `cargo build --release --features cuda`",
            Self::NoDriver => {
                "install the NVIDIA driver; start a container with access to the GPUs (Docker: `--gpus all`)"
            }
            Self::OldDriver { .. } => "update the NVIDIA driver; `nvidia-smi` shows which CUDA it supports",
            Self::NoDevice(None) => "check whether `nvidia-smi` lists a device",
            Self::NoDevice(Some(_)) => {
                "unset CUDA_VISIBLE_DEVICES, or set it to a device that `nvidia-smi` lists"
            }
            Self::Driver(_) => {
                "check whether `nvidia-smi` works; after an update of the driver, restart the machine"
            }
            Self::NoLibdevice(_) => {
                "install a CUDA toolkit, 12 or 13, and set CUDA_PATH to its folder; or get only that file, from \
                 `pip install nvidia-nvvm`, with CUDA_PATH set to the folder `nvidia/cu13` of site-packages"
            }
        }
    }

    /// The message and the remedy in one sentence.
    pub fn with_remedy(&self) -> String {
        format!("{self}; {}", self.remedy())
    }
}

/// How CUDA_VISIBLE_DEVICES explains that no device is visible.
fn visible(variable: Option<&str>) -> String {
    match variable {
        None => String::new(),
        Some("") => ": CUDA_VISIBLE_DEVICES is empty, which hides them all".to_owned(),
        Some(devices) => format!(" where CUDA_VISIBLE_DEVICES is `{devices}`"),
    }
}

fn missing_libdevice(cuda_path: Option<&Path>) -> String {
    match cuda_path {
        Some(path) => format!("`{}`, where CUDA_PATH points", path.join(LIBDEVICE).display()),
        None => format!("`{LIBDEVICE}` in {}, and CUDA_PATH is not set", TOOLKITS.join(", ")),
    }
}

/// Checks that the functions that kernels are linked with are where burn looks for them. `cuda_path` is the environment variable
/// CUDA_PATH.
///
/// # Errors
///
/// When they are missing.
#[cfg(any(feature = "cuda", test))]
pub(super) fn find_libdevice(
    cuda_path: Option<PathBuf>,
    is_file: impl Fn(&Path) -> bool,
) -> Result<(), CudaError> {
    let found = match &cuda_path {
        Some(path) => is_file(&path.join(LIBDEVICE)),
        None => TOOLKITS.iter().any(|toolkit| is_file(&Path::new(toolkit).join(LIBDEVICE))),
    };
    if found { Ok(()) } else { Err(CudaError::NoLibdevice(cuda_path)) }
}

/// A CUDA version as the driver encodes it: 12.8 is 12080.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CudaVersion(pub u32);

impl std::fmt::Display for CudaVersion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}", self.0 / 1000, self.0 % 1000 / 10)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_read_as_nvidia_writes_them() {
        assert_eq!(CudaVersion(12080).to_string(), "12.8");
        assert_eq!(CudaVersion(13000).to_string(), "13.0");
        assert_eq!(CudaVersion(11040).to_string(), "11.4");
    }

    #[test]
    fn a_device_that_the_environment_hides_is_told_so() {
        let said = |variable: Option<&str>| CudaError::NoDevice(variable.map(str::to_owned)).to_string();
        assert_eq!(said(None), "the NVIDIA driver finds no device");
        assert!(said(Some("")).ends_with("CUDA_VISIBLE_DEVICES is empty, which hides them all"));
        assert!(said(Some("7")).ends_with("where CUDA_VISIBLE_DEVICES is `7`"));
        assert!(CudaError::NoDevice(Some(String::new())).remedy().contains("unset CUDA_VISIBLE_DEVICES"));
    }

    #[test]
    fn device_functions_are_looked_for_where_burn_does() {
        let at = |file: &'static str| move |path: &Path| path == Path::new(file);
        let opt = "/opt/cuda/nvvm/libdevice/libdevice.10.bc";
        assert_eq!(find_libdevice(None, at(opt)), Ok(()));
        // The variable decides if it is set.
        assert_eq!(find_libdevice(Some("/opt/cuda".into()), at(opt)), Ok(()));
        let trouble = find_libdevice(Some("/cuda".into()), at(opt)).unwrap_err().to_string();
        assert!(trouble.contains("`/cuda/nvvm/libdevice/libdevice.10.bc`"), "{trouble}");
        let trouble = find_libdevice(None, |_| false).unwrap_err().to_string();
        assert!(trouble.contains("/usr/local/cuda, /opt/cuda, /usr/lib/cuda, /usr"), "{trouble}");
    }
}
