//! What a sweep and the processes of its trials agree on.

use std::path::{Path, PathBuf};

/// Marks the end of the experiment on the standard input of a trial's process.
pub(super) const END: u8 = 0;

/// Exit code of a process whose trial another process is working on: the code of a temporary failure.
pub(super) const BUSY: i32 = 75;

/// Exit code of a process whose trial another process has taken over, where locks have no effect.
pub(super) const TAKEN_OVER: i32 = 76;

/// Folder of the trial `trial` of the experiment `name`.
pub(super) fn trial_folder(out: &Path, name: &str, trial: &str) -> PathBuf {
    out.join(name).join(trial)
}
