//! A run: an experiment checked against its model, its stages in order, and the folder that they fill.

mod dataset;
mod folder;
mod outlook;
mod pipeline;
mod prepare;

pub use folder::{FolderError, RunFolder};
pub use pipeline::{RunError, Setting, execute};
pub use prepare::{PrepareError, Prepared};
