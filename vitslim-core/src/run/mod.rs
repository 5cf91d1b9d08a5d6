//! A run: an experiment checked against its model, its stages in order, the folder that they fill, and what is made of
//! that folder.

mod config;
mod dataset;
mod evaluation;
mod folder;
mod growth;
mod identity;
mod keys;
mod listing;
mod outlook;
mod pipeline;
mod prepare;
mod rehearsal;
mod restore;
mod sharing;
mod state;
mod target;
#[cfg(test)]
mod tests;

pub(crate) use config::{config, config_fault, default, facts};
pub(crate) use dataset::dataset;
pub use evaluation::{EvaluationSetting, OtherDataError, PartName, evaluate};
pub use folder::{FolderError, RunFolder};
pub(crate) use identity::{Circumstances, Identities, Identity, program};
pub use keys::PreparedBudget;
pub(crate) use keys::keys;
pub use listing::runs;
pub(crate) use pipeline::initial;
pub use pipeline::{RunError, Setting, execute};
pub(crate) use prepare::{Known, batches};
pub use prepare::{PrepareError, Prepared};
pub(crate) use rehearsal::{Size, checked_macs, cut_at_random, rehearse};
pub use restore::{RestoreError, Restored, restore};
pub(crate) use sharing::SHARED;
pub use state::{RunState, failure, forget_failure, record_failure, summary};
pub(crate) use target::DENSE;
pub use target::{Target, TargetError};
