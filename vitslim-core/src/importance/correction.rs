//! What a cut leaves, corrected for what is gone.

use std::collections::HashMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use super::cholesky::solve;
use super::error::ImportanceError;
use super::readers::{Readable, Reads, Told};
use super::scoring::black;
use super::steps::Steps;
use super::units::device_of;
use crate::data::{Batch, ImageShape};
use crate::models::Architecture;
use crate::nn::{Precision, Reader, Use};
use crate::panics::attempt;
use crate::slim::{Dimension, MaskSpec, Plan};

/// Ridge of the least squares, over the mean square of a feature that stays.
const RIDGE: f64 = 1e-3;

/// What the linear layers of a network read of the dimensions that may be cut, to correct cuts of it by.
///
/// Let a layer be `y = x W + b`, with features `K` of `x` that stay and `C` that are cut. Ridge regression finds the `Z` and `c` with
/// which `x[K] Z + c` is closest to `x[C] W[C]`: `Z = (S[K,K] + r I)^-1 S[K,C] W[C]`, for the covariance `S` of `x`, and
/// `c = m[C] W[C] - m[K] Z`, for its mean `m`. The layer becomes `y = x[K] (W[K] + Z) + b + c`. One without a bias has no `c`, and takes
/// the second moments of `x` for `S`. This is how CORP (Zhang and Yang 2026, [arXiv:2602.05243](https://arxiv.org/abs/2602.05243))
/// compensates MLPs. With a `Z` of 0 it is the mean shift of Variance-Based Pruning: that is what is left where there is no `Z`, since
/// what stays does not vary.
///
/// `S` and `m` are those of the network that is not cut. So the correction of hidden units is the best there is for the images that it
/// saw. It is approximate where the cut also changes what the layer reads: a width changes the norms before it, head dims change
/// attention, and each layer reads what those before it have lost.
pub struct Correction {
    reads: Vec<Reads>,
    layers: Vec<Layer>,
}

impl Correction {
    /// That of `model`, of which the `searched` dimensions may be cut, by what it computes on `batches`.
    ///
    /// # Errors
    ///
    /// Those of `batches`, or when the network cannot be computed.
    pub fn of<A: Architecture, E: From<ImportanceError>>(
        model: &A,
        searched: &[(Dimension, MaskSpec)],
        batches: impl Iterator<Item = Result<Batch, E>>,
        Steps { parts, precision, .. }: Steps,
    ) -> Result<Self, E> {
        let mut readable = Readable::of(model);
        let is_cut = |path: &str| searched.iter().any(|(dimension, _)| dimension.path == path);
        readable.reads.retain(|reads| matches!(reads.reader, Reader::Layer(_)) && is_cut(&reads.dimension));
        let mut layers: Vec<Layer> = Vec::new();
        for batch in batches {
            for part in batch?.parts(parts) {
                let heard = readable.heard(part, moments, precision).map_err(ImportanceError::correcting)?;
                for told in heard {
                    match layers.iter_mut().find(|layer| layer.reader == told.reader) {
                        Some(layer) => layer.add(&told),
                        None => layers.extend(Layer::new(told)),
                    }
                }
            }
        }
        Ok(Self { reads: readable.reads, layers })
    }

    /// `model`, that which this is of, with other weights in the linear layers that read what `plan` cuts: those with which, without it,
    /// their outputs are as close to what they were as can be. To be cut by `plan`. Before each layer it asks `goes_on`.
    ///
    /// # Errors
    ///
    /// Those of `goes_on`.
    pub fn corrected<A: Architecture, E: Send>(
        &self,
        model: &A,
        plan: &Plan,
        goes_on: impl Fn() -> Result<(), E> + Sync,
    ) -> Result<A, E> {
        let cut: Vec<(&Layer, Vec<bool>)> =
            self.layers.iter().map(|layer| (layer, self.stays(layer, plan))).collect();
        let cut: Vec<_> = cut.into_iter().filter(|(_, stays)| stays.contains(&false)).collect();
        let ids = cut.iter().flat_map(|(layer, _)| [Some(layer.weight), layer.bias]).flatten();
        let mut values = Values(ids.map(|id| (id, Vec::new())).collect());
        model.visit(&mut values);
        let changed = cut.par_iter().map(|(layer, stays)| {
            goes_on()?;
            let weight = values.0.get(&layer.weight).map_or(&[][..], Vec::as_slice);
            let bias = layer.bias.and_then(|id| values.0.get(&id)).map(Vec::as_slice);
            let Some((weight, bias)) = layer.corrected(stays, weight, bias) else { return Ok(Vec::new()) };
            let bias = layer.bias.map(|id| (id, bias));
            Ok([Some((layer.weight, weight)), bias].into_iter().flatten().collect())
        });
        let changed: Vec<Vec<_>> = changed.collect::<Result<_, E>>()?;
        Ok(model.clone().map(&mut Replaced(changed.into_iter().flatten().collect())))
    }

    /// For each feature of the input of `layer`, whether `plan` keeps it.
    fn stays(&self, layer: &Layer, plan: &Plan) -> Vec<bool> {
        let mut all = vec![true; layer.features];
        for Reads { dimension, units, .. } in self.reads.iter().filter(|reads| reads.reader == layer.reader) {
            let Some(cut) = plan.get(dimension) else { continue };
            for (stays, unit) in all.iter_mut().zip(units) {
                *stays &= unit.is_none_or(|unit| cut.keep.binary_search(&unit).is_ok());
            }
        }
        all
    }
}

/// The paths of the layers that read something of the `searched` dimensions of `model`: those that a [`Correction`] can correct, and those
/// that stay as they are, since they tell nothing or are not linear.
///
/// # Errors
///
/// When the network cannot be computed for such an `image`.
pub fn correctable<A: Architecture>(
    model: &A,
    searched: &[(Dimension, MaskSpec)],
    image: ImageShape,
) -> Result<[Vec<String>; 2], ImportanceError> {
    let model = model.valid();
    let black = black(image, &device_of(&model));
    let steps = Steps { parts: 1, checkpointed: false, precision: Precision::F32 };
    let found = attempt(|| Correction::of(&model, searched, std::iter::once(Ok(black)), steps));
    let Correction { mut reads, layers } = found.map_err(ImportanceError::Failed)??;
    // A layer may read several dimensions.
    reads.dedup_by(|one, other| one.layer == other.layer);
    let is_linear = |reads: &Reads| layers.iter().any(|layer| layer.reader == reads.reader);
    let (linear, others): (Vec<_>, Vec<_>) = reads.into_iter().partition(is_linear);
    Ok([linear, others].map(|reads| reads.into_iter().map(|reads| reads.layer).collect()))
}

/// Of what a linear layer reads, the sum over samples of the products of all features, and of the features themselves below:
/// `[samples, features]` to `[features + 1, features]`.
fn moments(used: Use, samples: Tensor<2>) -> Option<Tensor<2>> {
    let products = || samples.clone().transpose().matmul(samples.clone());
    matches!(used, Use::Linear(_)).then(|| Tensor::cat(vec![products(), samples.clone().sum_dim(0)], 0))
}

/// A linear layer, and what it read.
struct Layer {
    reader: Reader,
    weight: ParamId,
    bias: Option<ParamId>,
    features: usize,
    samples: f64,
    /// What [`moments`] makes of them.
    moments: Vec<f64>,
}

impl Layer {
    fn new(Told { reader, used, samples, values }: Told) -> Option<Self> {
        let (Reader::Layer(weight), Use::Linear(bias)) = (reader, used) else { return None };
        // Of `n (n + 1)` values, `n` squared are the largest square.
        let features = values.len().isqrt();
        Some(Self { reader, weight, bias, features, samples: samples as f64, moments: values })
    }

    fn add(&mut self, Told { samples, values, .. }: &Told) {
        self.samples += *samples as f64;
        self.moments.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }

    /// Weight, `[features, outputs]`, and bias after the correction of these, where these features stay; `None` if there is nothing to
    /// correct.
    fn corrected(
        &self,
        stays: &[bool],
        weight: &[f64],
        bias: Option<&[f64]>,
    ) -> Option<(Vec<f64>, Vec<f64>)> {
        let Self { features, samples, moments, .. } = self;
        let outputs = weight.len().checked_div(*features)?;
        if outputs == 0 || outputs * features != weight.len() {
            return None;
        }
        let mean = |feature: usize| moments[features * features + feature] / samples;
        let covariance = |one: usize, other: usize| {
            let square = moments[one * features + other] / samples;
            if bias.is_some() { square - mean(one) * mean(other) } else { square }
        };
        let (kept, cut): (Vec<usize>, Vec<usize>) = (0..*features).partition(|&feature| stays[feature]);
        let ridge = RIDGE * kept.iter().map(|&one| covariance(one, one)).sum::<f64>() / kept.len() as f64;
        let of_kept = |&one: &usize| {
            let kept = kept.iter();
            kept.map(move |&other| covariance(one, other) + if one == other { ridge } else { 0.0 })
        };
        let row = |feature: usize| &weight[feature * outputs..][..outputs];
        let mut lost = vec![0.0; kept.len() * outputs];
        for (lost, &one) in lost.chunks_mut(outputs).zip(&kept) {
            for &other in &cut {
                let share = covariance(one, other);
                lost.iter_mut().zip(row(other)).for_each(|(lost, weight)| *lost += share * weight);
            }
        }
        let added = solve(kept.iter().flat_map(of_kept).collect(), lost, kept.len());
        let added = added.unwrap_or_else(|| vec![0.0; kept.len() * outputs]);
        let (mut weight, mut bias) = (weight.to_vec(), bias.map_or_else(Vec::new, <[f64]>::to_vec));
        let of_cut = cut.iter().map(|&feature| (mean(feature), row(feature).to_vec()));
        let of_kept = kept.iter().zip(added.chunks(outputs));
        let of_kept = of_kept.map(|(&feature, added)| (-mean(feature), added.to_vec()));
        for (mean, values) in of_cut.chain(of_kept) {
            bias.iter_mut().zip(values).for_each(|(bias, value)| *bias += mean * value);
        }
        for (&feature, added) in kept.iter().zip(added.chunks(outputs)) {
            let here = &mut weight[feature * outputs..][..outputs];
            here.iter_mut().zip(added).for_each(|(weight, added)| *weight += added);
        }
        Some((weight, bias))
    }
}

/// The values of some parameters, by their ids.
struct Values(HashMap<ParamId, Vec<f64>>);

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Some(values) = self.0.get_mut(&param.id) {
            *values = param.val().into_data().iter::<f64>().collect();
        }
    }
}

/// Replaces the values of some parameters.
struct Replaced(HashMap<ParamId, Vec<f64>>);

impl ModuleMapper for Replaced {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        match self.0.remove(&param.id) {
            Some(values) => {
                param.map(|old| Tensor::from_data(TensorData::new(values, old.dims()), &old.device()))
            }
            None => param,
        }
    }
}
