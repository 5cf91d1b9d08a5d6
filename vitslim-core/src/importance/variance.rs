//! Units by how much their activations vary.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::error::ImportanceError;
use super::readers::{Reads, Told};
use super::units::Scores;
use crate::data::Batch;
use crate::models::Architecture;
use crate::nn::Precision;
use crate::slim::{Dimension, MaskSpec};

/// The variance of the activations of a unit over images and tokens, where a layer reads them: Variance-Based Pruning (Berisha et al.,
/// ICCV 2025, [arXiv:2507.12988](https://arxiv.org/abs/2507.12988)) takes that of the hidden units of an MLP after its activation, and cuts
/// the lowest. Here it is that of any dimension that is the input of layers. Of a token, it is the variance over images of the features
/// that the branches of its block read. Both are means over the features of a unit and over all that reads it.
pub(super) fn variance<A: Architecture, E: From<ImportanceError>>(
    model: &A,
    units: &[(Dimension, MaskSpec)],
    batches: impl Iterator<Item = Result<Batch, E>>,
    precision: Precision,
) -> Result<Scores, E> {
    let told = Told::of(model);
    // A gate is read for each branch: those are apart.
    let mut read: BTreeMap<(usize, usize), Moments> = BTreeMap::new();
    for batch in batches {
        let mut times = vec![0; told.reads.len()];
        for (reader, samples, moments) in told.heard(batch?, moments, precision)? {
            let moments = Moments::new(samples, &moments.iter::<f64>().collect::<Vec<_>>());
            // A layer may read several dimensions.
            for (place, _) in told.reads.iter().enumerate().filter(|(_, reads)| reads.reader == reader) {
                read.entry((place, times[place])).or_default().add(&moments);
                times[place] += 1;
            }
        }
    }
    let of_dimension = |(dimension, _): &(Dimension, MaskSpec)| {
        let mut sums = vec![(0.0, 0.0); dimension.units()];
        for ((place, _), moments) in &read {
            let Reads { dimension: path, units, .. } = &told.reads[*place];
            if *path != dimension.path {
                continue;
            }
            // Of a token, all features are read.
            let each = moments.means.len() / units.len().max(1);
            for (feature, variance) in moments.variances().enumerate() {
                if let Some(unit) = units[feature / each] {
                    let (sum, count) = &mut sums[unit];
                    (*sum, *count) = (*sum + variance, *count + 1.0);
                }
            }
        }
        let means: Option<Vec<f64>> =
            sums.into_iter().map(|(sum, count)| (count > 0.0).then_some(sum / count)).collect();
        means.ok_or_else(|| ImportanceError::Unread(dimension.path.clone()))
    };
    Ok(units.iter().map(of_dimension).collect::<Result<_, _>>()?)
}

/// Mean of each feature and the sum of its squared deviations from that: `[samples, features]` to `[2, features]`.
fn moments(samples: Tensor<2>) -> Tensor<2> {
    let mean = samples.clone().mean_dim(0);
    let deviations = (samples - mean.clone()).square().sum_dim(0);
    Tensor::cat(vec![mean, deviations], 0)
}

/// Mean and squared deviations of features over samples that come batch by batch.
#[derive(Default)]
struct Moments {
    samples: f64,
    /// For each feature.
    means: Vec<f64>,
    /// Likewise, their sum.
    deviations: Vec<f64>,
}

impl Moments {
    /// Those of so many `samples`, as [`moments`] makes them.
    fn new(samples: usize, moments: &[f64]) -> Self {
        let (means, deviations) = moments.split_at(moments.len() / 2);
        Self { samples: samples as f64, means: means.to_vec(), deviations: deviations.to_vec() }
    }

    /// Adds other samples, as in Chan et al. (1979).
    fn add(&mut self, other: &Self) {
        self.means.resize(other.means.len(), 0.0);
        self.deviations.resize(other.means.len(), 0.0);
        let all = self.samples + other.samples;
        let (weight, share) = (self.samples * other.samples / all, other.samples / all);
        let own = self.means.iter_mut().zip(&mut self.deviations);
        for ((mean, deviations), (others, other)) in own.zip(other.means.iter().zip(&other.deviations)) {
            let delta = others - *mean;
            *mean += delta * share;
            *deviations += other + delta * delta * weight;
        }
        self.samples = all;
    }

    fn variances(&self) -> impl Iterator<Item = f64> {
        self.deviations.iter().map(|deviations| deviations / self.samples)
    }
}
