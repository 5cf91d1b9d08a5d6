//! The real binary, on real data, in a temporary folder.

mod architectures;
mod augment;
mod bench;
mod branches;
mod broken;
mod budgets;
mod check;
mod comparison;
mod count;
mod data;
mod devices;
mod distillation;
mod documents;
mod evaluation;
mod export;
#[cfg(target_os = "linux")]
mod file_systems;
mod frontier;
mod identity;
mod imagenet;
mod importance;
mod language;
mod latency;
mod limits;
mod losses;
#[cfg(target_os = "linux")]
mod memory;
mod normalise;
mod precision;
mod pretrained;
mod refusals;
mod report;
mod results;
mod resume;
mod selftest;
mod several_devices;
mod slim;
mod slim_refusals;
mod spare;
mod sweeps;
mod terminal;
mod training;
mod transfer;
mod trouble;
mod unfit;
mod workspace;
