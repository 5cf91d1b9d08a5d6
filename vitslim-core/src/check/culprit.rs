use super::subject::{Outcome, Subject};
use crate::models::Architecture;
use crate::slim::Plan;

/// A mask set for which the networks differ, with as few dimensions cut as possible.
pub(super) struct Culprit<'a, A: Architecture> {
    /// The network.
    pub subject: &'a Subject<A>,
    /// What the mask set cuts, to follow "with".
    pub cuts: &'a str,
    /// The mask set.
    pub plan: Plan,
    /// Indices of the dimensions that it cuts.
    pub guilty: Vec<usize>,
    /// How the networks differ.
    pub outcome: Outcome,
}
