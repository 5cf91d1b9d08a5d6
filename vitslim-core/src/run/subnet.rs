//! Networks of a run without the data that they were trained on.

use super::network::Network;
use crate::models::Architecture;
use crate::slim::{Cut, Plan};

/// A network of a run, by itself: a sub-network, or the dense one.
#[derive(Debug)]
pub struct Subnet<A: Architecture> {
    /// The network, in validation mode.
    pub model: A,
    /// What is left of the dense network.
    pub plan: Plan,
    /// What another program needs, beside the weights, to compute it.
    pub network: Network<A::Config>,
    /// `dense`, or the label of the sub-network.
    pub label: String,
    /// Name of the trial of its run.
    pub trial: String,
    /// The experiment of its run, every default spelled out, without the folders that its data and weights lie in.
    pub experiment: String,
}

impl<A: Architecture> Subnet<A> {
    /// Whether it has fewer tokens than the dense network.
    pub(crate) fn has_cut_tokens(&self) -> bool {
        let is_cut = |cut: &Cut| {
            cut.keep.len() < cut.of.iter().sum() && self.network.tokens.contains_key(&cut.dimension)
        };
        self.plan.cuts.iter().any(is_cut)
    }
}
