//! A run: an experiment checked against its model, its stages in order, the folder that they fill, and what is made of
//! that folder.

mod dataset;
mod evaluation;
mod folder;
mod outlook;
mod pipeline;
mod prepare;
mod restore;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use dataset::dataset;
pub use evaluation::{EvaluationSetting, OtherDataError, PartName, evaluate};
pub use folder::{FolderError, RunFolder};
pub(crate) use pipeline::initial;
pub use pipeline::{RunError, Setting, execute};
pub use prepare::{PrepareError, Prepared};
pub(crate) use prepare::{budgets, config, searched};
pub use restore::{RestoreError, Restored, restore};
pub(crate) use target::DENSE;
pub use target::{Target, TargetError};
