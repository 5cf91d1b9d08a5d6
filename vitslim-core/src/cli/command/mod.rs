//! One file per command.

pub(super) mod architectures;
pub(super) mod bench;
pub(super) mod check;
pub(super) mod compare;
pub(super) mod count;
pub(super) mod devices;
pub(super) mod eval;
pub(super) mod export;
pub(super) mod frontier;
pub(super) mod gc;
pub(super) mod ls;
pub(super) mod new;
pub(super) mod plan;
pub(super) mod report;
pub(super) mod run;
pub(super) mod schema;
pub(super) mod selftest;
pub(super) mod slim;
