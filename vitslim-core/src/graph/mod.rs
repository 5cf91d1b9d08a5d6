//! The forward pass as a graph of operations with shapes, recorded without computing anything, and what is counted in it.

mod activations;
#[cfg(test)]
mod batch;
mod capture;
mod counts;
mod kept;
mod layers;
mod macs;
mod memory;
#[cfg(test)]
mod published;
mod signature;
mod simplify;
mod training;
mod uses;
mod vit_slim;
mod work;

pub use activations::activations;
pub(crate) use capture::record;
pub use capture::{GraphError, capture};
pub use counts::Counts;
pub(crate) use counts::counts_after;
pub use layers::{Layer, layers};
pub(crate) use macs::macs_and_classes;
pub use macs::{macs, macs_of_graph};
pub(crate) use memory::Occupied;
pub(crate) use signature::signature;
pub(crate) use simplify::simplified;
pub(crate) use training::{Recording, TrainingSetting, record_training};
pub(crate) use uses::uses;
pub use vit_slim::{VitSlimCounts, VitSlimError, vit_slim};
pub(crate) use work::{ConvWindow, Operation, operations_after};
