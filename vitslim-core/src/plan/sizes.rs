//! The sizes of a trial's networks.

use std::collections::HashMap;

use crate::models::Architecture;
use crate::run::{Prepared, RunError, Size, sizes};

/// Known sizes, by what they depend on.
#[derive(Default)]
pub(super) struct Sizes(HashMap<String, Size>);

impl Sizes {
    /// Sizes of the dense network, which the caller may have built already, and of the sub-network of each budget.
    pub(super) fn of<A: Architecture>(
        &mut self,
        prepared: &Prepared<A>,
        dense: Option<A>,
    ) -> Result<Vec<Size>, RunError> {
        let experiment = &prepared.experiment;
        let network = prepared.network();
        let granularities: Vec<_> =
            prepared.searched.iter().map(|(dimension, spec)| (&dimension.path, spec.granularity)).collect();
        let budgets = prepared.budgets.iter().map(|budget| {
            format!("{network} {:?} {:?} {granularities:?}", budget.shares, experiment.round_to)
        });
        let keys: Vec<String> = std::iter::once(network.clone()).chain(budgets).collect();
        if let Some(known) = keys.iter().map(|key| self.0.get(key).cloned()).collect() {
            return Ok(known);
        }
        let sizes = sizes(prepared, dense)?;
        self.0.extend(keys.into_iter().zip(sizes.iter().cloned()));
        Ok(sizes)
    }
}
