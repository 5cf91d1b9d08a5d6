//! The networks to measure, and what they do.

use crate::data::ImageShape;
use crate::graph::Operation;
use crate::nn::Precision;
use crate::train::EvaluateError;

/// An experiment with its networks to measure; the dense one comes first.
pub struct Benched {
    /// Name of the experiment.
    pub name: String,
    /// Name of the trial.
    pub trial: String,
    /// What results call the precision of matrix products.
    pub precision: String,
    /// Channels, height and width of an image.
    pub image: ImageShape,
    /// Dense network and sub-networks.
    pub networks: Vec<Network>,
}

/// A network to measure.
pub struct Network {
    /// `dense`, or the label of the sub-network.
    pub name: String,
    /// Number of parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// What to time.
    pub work: Vec<Work>,
    /// The operations of a forward pass on the batch, where they are to be told, and the precision that they are computed in.
    pub(super) operations: Option<(Precision, Vec<Operation>)>,
}

/// One thing that a network does with a batch.
pub struct Work {
    /// What the network does.
    pub kind: WorkKind,
    /// Does it once, and waits until it is done.
    pub once: Box<dyn FnMut() -> Result<(), EvaluateError>>,
}

/// What a network does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkKind {
    /// A training step: forward, backward and update.
    Training,
    /// A search step: the same with masks and their penalty, and with the teacher of the search if it has one.
    Search,
    /// Inference: forward only.
    Inference,
}

impl WorkKind {
    /// What reports call a step of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Search => "search",
            Self::Inference => "inference",
        }
    }
}
