//! The CUDA devices that the driver reports. This loads the driver's library first, because cudarc panics without it, and burn
//! at its first tensor: everything that a run needs is checked here.

use std::path::PathBuf;

use cubecl_runtime::config::cache::CacheConfig;
use cubecl_runtime::config::{CubeClRuntimeConfig, RuntimeConfig};
use cudarc::driver::result::{self, DriverError, device};
use cudarc::driver::sys::{
    CUDA_VERSION, CUdevice_attribute as Attribute, CUresult, cuDriverGetVersion, is_culib_present,
};
use nvml_wrapper::Nvml;

use super::cuda_error::{CudaError, CudaVersion, find_libdevice};
use super::driver::CudaDriver;
use crate::report::CudaDevice;

/// The oldest driver that has all functions burn calls. Built for CUDA 13, cudarc times kernels, by which burn chooses among
/// them, with a function that came with CUDA 12.8. The oldest version that cudarc can be built for is 11.4.
const LEAST_DRIVER: CudaVersion = CudaVersion(if CUDA_VERSION >= 13_000 { 12_080 } else { 11_040 });

/// Keeps compiled kernels and autotune results from one run to the next, in the user's cache folder unless a `cubecl.toml` names
/// another one (`target`, cubecl's default, counts as none). Must be called before a device is used.
pub(in crate::cli) fn keep_kernels() {
    let mut config = CubeClRuntimeConfig::from_current_dir().override_from_env();
    config.compilation.cache = true;
    if let CacheConfig::Target = config.environment.path {
        config.environment.path = CacheConfig::Global;
    }
    // If something asked before, its configuration stays.
    let _ = CubeClRuntimeConfig::try_set(config);
}

/// The driver with its version and devices.
///
/// # Errors
///
/// When there is no driver, it is too old or fails, or it shows no device.
#[allow(unsafe_code)]
pub(in crate::cli) fn look() -> Result<CudaDriver, CudaError> {
    // SAFETY: it loads the library and unloads it again.
    if !unsafe { is_culib_present() } {
        return Err(CudaError::NoDriver);
    }
    let mut version = 0;
    // SAFETY: the driver writes its version to valid memory, even before it is initialised.
    unsafe { cuDriverGetVersion(&mut version) }.result().map_err(trouble)?;
    let version = CudaVersion(version.try_into().unwrap_or(0));
    if version < LEAST_DRIVER {
        return Err(CudaError::OldDriver { found: version, least: LEAST_DRIVER });
    }
    result::init().map_err(trouble)?;
    let count = device::get_count().map_err(trouble)?;
    let devices: Result<Vec<_>, _> = (0..count).map(describe).collect();
    let devices = devices.map_err(trouble)?;
    if devices.is_empty() {
        return Err(CudaError::NoDevice(visible()));
    }
    let driver = Nvml::init().and_then(|nvml| nvml.sys_driver_version()).ok();
    let usable = find_libdevice(std::env::var_os("CUDA_PATH").map(PathBuf::from), |path| path.is_file());
    Ok(CudaDriver { driver, version, devices, usable })
}

#[allow(unsafe_code)]
fn describe(index: i32) -> Result<CudaDevice, DriverError> {
    let device = device::get(index)?;
    // SAFETY: `device` comes from the driver.
    let attribute = |attribute| unsafe { device::get_attribute(device, attribute) };
    let major = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR)?;
    let minor = attribute(Attribute::CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR)?;
    Ok(CudaDevice {
        device: format!("cuda:{index}"),
        name: device::get_name(device)?,
        // SAFETY: as above.
        memory: unsafe { device::total_mem(device) }? as u64,
        compute_capability: format!("{major}.{minor}"),
    })
}

fn trouble(error: DriverError) -> CudaError {
    match error.0 {
        CUresult::CUDA_ERROR_NO_DEVICE => CudaError::NoDevice(visible()),
        _ => {
            let name = error.error_name().map(|name| name.to_string_lossy().into_owned());
            let said = error.error_string().map(|said| format!(" ({})", said.to_string_lossy()));
            let name = name.unwrap_or_else(|_| format!("{:?}", error.0));
            CudaError::Driver(name + &said.unwrap_or_default())
        }
    }
}

fn visible() -> Option<String> {
    std::env::var("CUDA_VISIBLE_DEVICES").ok()
}
