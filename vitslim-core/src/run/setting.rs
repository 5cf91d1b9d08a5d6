//! How and where to run an experiment.

use std::path::Path;

use crate::train::{Devices, Interrupter};

/// How and where to run an experiment.
#[derive(Clone)]
pub struct Setting<'a> {
    /// Folder that the run's folder goes into.
    pub out: &'a Path,
    /// The devices to compute on.
    pub devices: &'a Devices,
    /// What results call the devices.
    pub device_name: &'a str,
    /// Whether to start again, and discard what any earlier run left in the folder.
    pub afresh: bool,
    /// Stops the run after the current batch.
    pub interrupter: Interrupter,
    /// Threads that prepare batches ahead; `None` is the default of [`Loader::new`](crate::data::Loader::new).
    pub loader_threads: Option<usize>,
    /// Whether to hide progress.
    pub quiet: bool,
}
