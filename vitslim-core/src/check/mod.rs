//! `vitslim check`: checks the experiment, its data and the annotations of its architecture, before a night is spent on a
//! search.
//!
//! The annotations are proved in f64: for many mask sets, the network whose masked weights are 0 and the network without
//! them must have the same logits. If they differ, the mask set is narrowed down to a dimension, and that to the parameters
//! of removed units that the masked network still depends on; then other annotations are tried, to find one that makes the
//! two agree.
//!
//! | step | file |
//! | --- | --- |
//! | the experiment, its data and its network | `experiment` |
//! | a network with random parameters | `architecture`, `subject` |
//! | the cost of a unit | `dimensions` |
//! | where token gates act | `tokens` |
//! | the mask sets that are compared | `plans` |
//! | masked against sliced, narrowed down | `prove`, `culprit` |
//! | which parameters still act, and which annotation is missing | `blame`, `acting`, `repair`, `amended`, `change` |
//! | whether every mask reaches the loss | `gradient` |
//! | what decays, what stays, and at which rate | `parameters` |
//!
//! # What it cannot see
//!
//! Masked and sliced network can agree although the annotation is not what you meant:
//!
//! - two sets of units that could be pruned separately share one name, and are cut together;
//! - a dimension is gated twice in a row, before and after an activation: soft masks then act squared, which hard masks do
//!   not show;
//! - heads and head dims are exchanged in the `HeadLayout` itself, so that all layers agree;
//! - a token gate has too small a prefix, so that a class token can be cut;
//! - `TokenGate::scale` is called on the residual stream instead of on what a branch reads;
//! - a prunable axis is not annotated at all;
//! - the forward pass takes another path for other values, or only in training.

mod acting;
mod amended;
mod architecture;
mod blame;
mod change;
mod culprit;
mod dimensions;
mod experiment;
mod gradient;
mod listed;
mod orders;
mod parameters;
mod pattern;
mod plans;
mod prove;
mod repair;
mod subject;
mod tokens;

pub use architecture::{ArchitectureCheck, check_architecture, f64_device};
pub use experiment::check_experiment;

pub use listed::listed;
pub use subject::TOLERANCE;
