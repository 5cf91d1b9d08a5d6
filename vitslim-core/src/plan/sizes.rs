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
            format!(
                "{network} {:?} {:?} {:?} {:?} {granularities:?} {:?}",
                budget.written,
                experiment.precision,
                (experiment.importance, experiment.cut_rule()),
                experiment.round_to,
                prepared.selection.of_sizes()
            )
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
            let params = known.of(&prepared, None).unwrap()[1].params;
            assert_eq!(params, Parameter::count(&cut), "{rule}");
            params
        });
        // Two norms, each with a scale and a shift of 4 dims for one more head.
        assert_eq!(folded, hard + 2 * 2 * 4);
    }
}
