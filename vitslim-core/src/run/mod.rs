//! A run: an experiment checked against its model, its stages in order, the folder that they fill, and what is read back from
//! that folder.

mod agreement;
mod begin;
mod belongs;
mod blindness;
mod config;
mod cutting;
mod data_record;
mod dataset;
mod dry_run;
mod error;
mod evaluation;
mod extend;
mod folder;
mod identity;
mod initial;
mod keys;
mod listing;
mod lock;
mod network;
mod pipeline;
mod prepare;
mod remaining;
mod restore;
mod setting;
#[cfg(test)]
mod shared_norms;
mod sharing;
mod spare;
mod state;
mod target;
#[cfg(test)]
mod tests;
mod trained;
mod weights;

pub(crate) use belongs::{check, is_complete};
pub(crate) use config::{config, config_error, config_mistakes, default, facts};
pub(crate) use cutting::Cutting;
pub(crate) use dataset::{dataset, dataset_naming_all};
pub(crate) use dry_run::{Size, checked_macs, cut_at_random, sizes};
pub use error::{OtherDataError, RunError};
pub(crate) use evaluation::check_unchanged;
pub use evaluation::{EvaluationSetting, SplitName, evaluate};
pub use folder::{FolderError, RunFolder};
pub(crate) use identity::{Circumstances, Identities, Identity};
pub(crate) use initial::initial;
pub use keys::PreparedBudget;
pub(crate) use keys::keys;
pub use listing::runs;
pub use pipeline::execute;
pub(crate) use prepare::{Known, unfit};
pub use prepare::{PrepareError, Prepared};
pub use restore::{RestoreError, Restored, restore};
pub use setting::Setting;
pub(crate) use sharing::SHARED;
pub use spare::{free, free_unneeded, spare};
pub use state::{failure, forget_failure, record_failure, summary};
pub(crate) use target::DENSE;
pub use target::{Target, TargetError};
