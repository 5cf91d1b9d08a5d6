use burn::tensor::Device;

use super::failure::Failure;
use crate::device::is_cpu;

/// What a check measured, or what is wrong.
pub type Checked = Result<String, Failure>;

/// A check of one claim.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name, unique in its group.
    pub name: &'static str,
    /// Checks the claim on a device.
    pub run: fn(&Device) -> Checked,
}

/// How many random cases to draw. On a GPU there are fewer, since each new shape compiles kernels and tunes them, which
/// takes longer than computing.
pub(super) fn rounds(device: &Device, on_the_cpu: u64) -> u64 {
    if is_cpu(device) { on_the_cpu } else { on_the_cpu.div_ceil(5) }
}
