//! What a sweep and the processes of its trials know of each other.

use std::path::{Path, PathBuf};

/// What ends the experiment that a trial's process is given.
pub(super) const END: u8 = 0;

/// Exit code of a process whose trial another one works on: that of a failure that is temporary.
pub(super) const BUSY: i32 = 75;

/// Folder of the trial `trial` of the experiment `name`.
pub(super) fn trial_folder(out: &Path, name: &str, trial: &str) -> PathBuf {
    out.join(name).join(trial)
}
