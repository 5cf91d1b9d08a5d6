//! Statistics of the masks during a search.

use std::collections::BTreeMap;

use burn::tensor::Tensor;
use serde::{Deserialize, Serialize};

use crate::slim::MaskSet;

/// Below this a mask counts as closed.
const CLOSED: f64 = 0.05;

/// Bins of a histogram.
const BINS: usize = 20;

/// Statistics of the masks of one dimension, as the factors that they multiply by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::train) struct MaskStatistics {
    pub(in crate::train) mean: f64,
    /// Fraction of the masks that are less than 0.05 away from 0.
    #[serde(rename = "share_under_0.05")]
    pub(in crate::train) share_under_0_05: f64,
    pub(in crate::train) histogram: Histogram,
}

/// Number of values in each of 20 equal bins from the smallest value to the largest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::train) struct Histogram {
    pub(in crate::train) min: f64,
    pub(in crate::train) max: f64,
    pub(in crate::train) counts: Vec<usize>,
}

/// Statistics of each dimension, by its path, in one read of the device. Dimensions whose masks are not finite are left out: the
/// loss is not finite either then, which stops the run.
pub(in crate::train) fn statistics(masks: &MaskSet) -> BTreeMap<String, MaskStatistics> {
    let activated: Vec<_> = masks.iter().map(|mask| mask.activated()).collect();
    if activated.is_empty() {
        return BTreeMap::new();
    }
    let counts: Vec<_> = activated.iter().map(|activated| activated.dims()[0]).collect();
    let mut values = Tensor::cat(activated, 0).into_data().iter::<f64>().collect::<Vec<_>>().into_iter();
    let mut of = |count: usize| MaskStatistics::of(&values.by_ref().take(count).collect::<Vec<_>>());
    masks.iter().zip(counts).filter_map(|(mask, count)| Some((mask.path.clone(), of(count)?))).collect()
}

impl MaskStatistics {
    pub(in crate::train) fn of(values: &[f64]) -> Option<Self> {
        if values.is_empty() || !values.iter().all(|value| value.is_finite()) {
            return None;
        }
        let closed = values.iter().filter(|value| value.abs() < CLOSED).count();
        Some(Self {
            mean: values.iter().sum::<f64>() / values.len() as f64,
            share_under_0_05: closed as f64 / values.len() as f64,
            histogram: Histogram::of(values),
        })
    }
}

impl Histogram {
    fn of(values: &[f64]) -> Self {
        let min = values.iter().copied().fold(f64::INFINITY, f64::min);
        let max = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut counts = vec![0; BINS];
        for value in values {
            let place = if max > min { (value - min) / (max - min) } else { 0.0 };
            counts[((place * BINS as f64) as usize).min(BINS - 1)] += 1;
        }
        Self { min, max, counts }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statistics_of_known_masks() {
        let values: Vec<f64> = (0..=64).map(|value| f64::from(value) / 64.0 - 0.5).collect();
        let statistics = MaskStatistics::of(&values).unwrap();
        assert!(statistics.mean.abs() < 1e-12);
        // Three on each side of 0, and 0.
        assert_eq!(statistics.share_under_0_05, 7.0 / 65.0);
        let histogram = statistics.histogram;
        assert_eq!((histogram.min, histogram.max), (-0.5, 0.5));
        assert_eq!(histogram.counts.len(), 20);
        // The largest value belongs to the last bin.
        assert_eq!([histogram.counts[0], histogram.counts[19]], [4, 4]);
        assert_eq!(histogram.counts.iter().sum::<usize>(), 65);
    }

    #[test]
    fn masks_that_are_all_alike_are_in_one_bin_and_nan_has_none() {
        assert_eq!(MaskStatistics::of(&[1.0; 7]).unwrap().histogram.counts[0], 7);
        assert_eq!(MaskStatistics::of(&[1.0, f64::NAN]), None);
        assert_eq!(MaskStatistics::of(&[]), None);
    }
}
