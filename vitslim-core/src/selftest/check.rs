use burn::tensor::Device;

use super::failure::Failure;
use crate::device::is_cpu;

/// What a check measured, or what is wrong.
pub type Checked = Result<String, Failure>;

/// A claim that can be checked.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, unique in its group.
    pub name: &'static str,
    /// Checks it on a device.
    pub run: fn(&Device) -> Checked,
}

/// How often something is drawn at random. On a GPU each new shape compiles kernels and tries which are fastest, which
/// takes longer than to compute.
pub(super) fn rounds(device: &Device, on_the_cpu: u64) -> u64 {
    if is_cpu(device) { on_the_cpu } else { on_the_cpu.div_ceil(5) }
}
