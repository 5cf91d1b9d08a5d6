//! The trials of a sweep, one after another or side by side, each in a process of its own.

mod all;
mod attached;
mod display;
mod error;
mod protocol;
mod queue;
mod trial;
mod work;
mod worker;

pub(super) use all::run_sweep;
pub(super) use attached::run_attached;
pub(super) use error::SweepError;
