//! The sizes of a trial's networks.

use std::collections::HashMap;
use std::sync::Arc;

use super::memory::{Memory, Recorded};
use crate::models::Architecture;
use crate::run::{Prepared, RunError, Size, sizes_with};

/// A network of a trial.
#[derive(Clone)]
pub(super) struct Network {
    pub size: Size,
    /// What says how much memory it needs, where that is asked.
    pub recorded: Option<Arc<Recorded>>,
}

/// Known networks, by what they depend on.
#[derive(Default)]
pub(super) struct Sizes(HashMap<String, Network>);

impl Sizes {
    /// The dense network, which the caller may have built already, and the sub-network of each budget. They are recorded as `memory` does.
    pub(super) fn of<A: Architecture>(
        &mut self,
        prepared: &Prepared<A>,
        dense: Option<A>,
        memory: Option<&Memory>,
    ) -> Result<Vec<Network>, RunError> {
        let experiment = &prepared.experiment;
        let granularities: Vec<_> =
            prepared.searched.iter().map(|(dimension, spec)| (&dimension.path, spec.granularity)).collect();
        let network = format!(
            "{} {:?} {:?} {granularities:?} {:?}",
            prepared.network(),
            experiment.precision,
            (experiment.importance, experiment.cut_rule()),
            experiment.search.freeze
        );
        let budgets = prepared.budgets.iter().map(|budget| {
            format!(
                "{network} {:?} {:?} {:?} {:?} {:?}",
                budget.written,
                experiment.round_to,
                experiment.norm,
                experiment.tokens,
                prepared.selection.of_sizes()
            )
        });
        let keys: Vec<String> = std::iter::once(network.clone()).chain(budgets).collect();
        if let Some(known) = keys.iter().map(|key| self.0.get(key).cloned()).collect() {
            return Ok(known);
        }
        let mut left = keys.iter();
        let networks = sizes_with(prepared, dense, |model, size| {
            let key = left.next().map_or("", String::as_str);
            let record = |memory: &Memory| memory.record(prepared, model, key, key == network);
            let recorded = memory.map(record).transpose()?.map(Arc::new);
            Ok(Network { size, recorded })
        })?;
        self.0.extend(keys.into_iter().zip(networks.iter().cloned()));
        Ok(networks)
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Device;

    use super::*;
    use crate::experiment::Document;
    use crate::models::{Parameter, Vit};
    use crate::run::initial;
    use crate::slim::{MaskSet, Slimmable};

    /// Folded masks give each head the norm that all shared.
    #[test]
    fn norms_that_heads_share_are_counted_as_a_run_cuts_them() {
        let device = Device::flex();
        let mut known = Sizes::default();
        let [folded, hard] = ["Fold", "Hard"].map(|rule| {
            let text = format!(
                "Experiment(name: \"a\", model: (architecture: \"vit\", config: (patch_size: 4, dim: 8, depth: 1, heads: 2, qk_norm: \
                 true)), data: Digits, cut: {rule}, search: (epochs: 1, optimizer: AdamW(lr: 1), dimensions: {{ \"head_dim\": \
                 (weight: 0) }}), budgets: [Share({{ \"head_dim\": 1 }})])"
            );
            let document = Document::parse("a.ron", &text, &[]).unwrap();
            let prepared = Prepared::<Vit>::new(&document.trial().unwrap()).unwrap();
            let dense = initial(&prepared, &device).unwrap().valid();
            let cut = match rule {
                "Fold" => dense.fold(&MaskSet::new(&prepared.searched, &device)),
                _ => dense,
            };
            let params = known.of(&prepared, None, None).unwrap()[1].size.params;
            assert_eq!(params, Parameter::count(&cut), "{rule}");
            params
        });
        // Two norms, each with a scale and a shift of 4 dims for one more head.
        assert_eq!(folded, hard + 2 * 2 * 4);
    }
}
