//! `vitslim check`: before a night is spent on a search, the file, the data and the annotations of the architecture.
//!
//! The proof of the annotations: for many mask sets, the network whose masked weights are 0 and the one without them
//! answer alike, in f64. Where they do not, it is narrowed down to a dimension; then to the parameters of the removed units on
//! which the masked network still depends; and then it is tried which other annotation makes the two the same.
//!
//! | step | file |
//! | --- | --- |
//! | the experiment, its data and its network | `experiment` |
//! | a network, every parameter random | `architecture`, `subject`, `parameters` |
//! | what a unit costs | `dimensions` |
//! | where token gates act | `tokens` |
//! | which mask sets are compared | `plans` |
//! | masked against sliced, narrowed down | `prove` |
//! | which parameters still act, and which annotation is missing | `blame`: `acting`, `repair`, `amended` |
//! | every mask reaches the loss | `gradient` |
//!
//! # What it cannot see
//!
//! Masked and sliced network are the same, and yet the annotation may not be meant so:
//!
//! - two sets of units that could be pruned apart and share one name: they are cut together;
//! - a dimension that is gated twice one after the other, before an activation and after it: a soft mask acts squared, a hard
//!   one does not tell;
//! - heads and head dims exchanged in the `HeadLayout` itself: all layers agree on it;
//! - a token gate with too small a prefix, so that a class token can be cut;
//! - `TokenGate::scale` on the residual stream instead of on what a branch reads;
//! - an axis that is prunable and annotated nowhere;
//! - code that takes another way at other values, or only while training.

mod acting;
mod amended;
mod architecture;
mod blame;
mod culprit;
mod dimensions;
mod experiment;
mod gradient;
mod listed;
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
