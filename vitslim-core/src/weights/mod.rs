//! Trained networks from other programs: files of weights, the names that they have there, and how they fit a network of ours.
//!
//! | step | file |
//! | --- | --- |
//! | what a file is, by its content | `container` |
//! | the tensors in it, or in its shards; none is read yet | `file`, `shards` |
//! | which of several networks in it is meant, and whose names they are | `choice`, `family`, `rule` |
//! | what becomes of each tensor, and what does not fit | `fit`, `unfit` |
//! | tensors of another shape: positions of other tokens or patches, other windows, one channel | `adapt`, `tokens`, `resize` |
//!
//! A pickle is read for its tensors and never executed.

mod adapt;
mod choice;
mod container;
mod error;
mod family;
mod file;
mod fit;
mod resize;
mod rule;
mod shards;
mod tokens;
mod unfit;

pub use error::WeightsError;
pub use file::WeightsFile;
pub use fit::{Fitted, Untrained};
