//! How and where an experiment is run.

use std::path::Path;

use crate::train::{Devices, Interrupter};

/// How and where an experiment is run.
#[derive(Clone)]
pub struct Setting<'a> {
    /// Folder under which the run's folder is.
    pub out: &'a Path,
    /// Where to compute.
    pub devices: &'a Devices,
    /// How results name the devices.
    pub device_name: &'a str,
    /// Whether to begin afresh, whatever an earlier run left.
    pub afresh: bool,
    /// Stops the run after the batch at hand.
    pub interrupter: Interrupter,
    /// Threads that prepare training batches ahead, where not those of [`Loader::new`](crate::data::Loader::new).
    pub loader_threads: Option<usize>,
    /// Shows no progress.
    pub quiet: bool,
}
