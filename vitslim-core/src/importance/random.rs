//! Units by chance.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use crate::data::{Moment, Stage};
use crate::slim::{Dimension, MaskSet, MaskSpec};

/// Masks of the `searched` dimensions that are drawn at random, by the `seed`: each uniform from 0 to 1, whatever it covers.
pub(crate) fn random_masks(searched: &[(Dimension, MaskSpec)], seed: u64, device: &Device) -> MaskSet {
    let mut generator = Moment { seed, stage: Stage::Search, epoch: 0, step: 0 }.generator();
    MaskSet::new(searched, device).map_values(|_, old| {
        let drawn: Vec<f32> = (0..old.dims()[0]).map(|_| generator.random()).collect();
        Tensor::from_data(TensorData::new(drawn, old.dims()), device)
    })
}
