//! How large the networks of a trial will be.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::data::{Moment, Stage};
use crate::graph::macs;
use crate::models::Architecture;
use crate::run::{Prepared, RunError, initial};
use crate::slim::MaskSet;

/// Parameters and MACs for one image.
pub(super) type Size = (usize, u64);

/// Sizes that are known, by what they depend on.
#[derive(Default)]
pub(super) struct Sizes(HashMap<String, Size>);

impl Sizes {
    /// Those of the dense network and of the sub-network of each budget.
    pub(super) fn of<A: Architecture>(&mut self, prepared: &Prepared<A>) -> Result<Vec<Size>, RunError> {
        let experiment = &prepared.experiment;
        let network = prepared.network();
        let granularities: Vec<_> =
            prepared.searched.iter().map(|(dimension, spec)| (&dimension.path, spec.granularity)).collect();
        let budgets = prepared.budgets.iter().map(|budget| {
            format!("{network} {:?} {:?} {granularities:?}", budget.shares, experiment.round_to)
        });
        let keys: Vec<String> = std::iter::once(network.clone()).chain(budgets).collect();
        if let Some(known) = keys.iter().map(|key| self.0.get(key).copied()).collect() {
            return Ok(known);
        }
        let device = Device::flex();
        let image = prepared.data.shape;
        let dense = initial(prepared, &device).map_err(RunError::Config)?.valid();
        let masks = random_masks(prepared, &device);
        let mut sizes = vec![(Module::num_params(&dense), macs(&dense, image)?)];
        for budget in &prepared.budgets {
            let sliced = dense.clone().slim(&prepared.plan(&masks, budget)?)?;
            sizes.push((Module::num_params(&sliced), macs(&sliced, image)?));
        }
        self.0.extend(keys.into_iter().zip(sizes.iter().copied()));
        Ok(sizes)
    }
}

/// Masks that are drawn at random, by the seed: sizes differ from layer to layer as those of a search do.
pub(crate) fn random_masks<A: Architecture>(prepared: &Prepared<A>, device: &Device) -> MaskSet {
    let seed = prepared.experiment.seed;
    let mut generator = Moment { seed, stage: Stage::Search, epoch: 0, step: 0 }.generator();
    MaskSet::new(&prepared.searched, device).map_values(|_, old| {
        let drawn: Vec<f32> = (0..old.dims()[0]).map(|_| generator.random()).collect();
        Tensor::from_data(TensorData::new(drawn, old.dims()), device)
    })
}
