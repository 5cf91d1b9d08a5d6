//! What is measured.

use crate::data::ImageShape;
use crate::train::EvaluateError;

/// An experiment with the networks that are measured for it; the dense one comes first.
pub struct Benched {
    /// Name of the experiment.
    pub name: String,
    /// Name of the trial.
    pub trial: String,
    /// How results name what the networks multiply matrices in.
    pub precision: String,
    /// What an image is.
    pub image: ImageShape,
    /// Dense network and sub-networks.
    pub networks: Vec<Network>,
}

/// A network that is measured.
pub struct Network {
    /// `dense`, or the label of the sub-network.
    pub name: String,
    /// Parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// What is timed of it.
    pub work: Vec<Work>,
}

/// One thing that a network does with a batch.
pub struct Work {
    /// What it is.
    pub kind: WorkKind,
    /// Does it once, to the end.
    pub once: Box<dyn FnMut() -> Result<(), EvaluateError>>,
}

/// What a network does with a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WorkKind {
    /// Forward, backward and update.
    Training,
    /// The same with masks and their penalty.
    Search,
    /// Forward.
    Inference,
}
