//! What a cut leaves, corrected for what is gone.

use std::collections::HashMap;

use burn::module::{ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::tensor::{Tensor, TensorData};

use super::cholesky::solve;
use super::error::ImportanceError;
use super::readers::{Reads, Told};
use crate::data::Batch;
use crate::models::Architecture;
use crate::nn::{Precision, Reader};
use crate::slim::Plan;

/// Ridge of the least squares, over the mean square of a feature that stays.
const RIDGE: f64 = 1e-3;

/// `model` with other weights in the linear layers that read what `plan` cuts: those with which, without it, their outputs on `batches`
/// are as close to what they were as can be. To be cut by `plan`.
///
/// Let a layer be `y = x W + b`, with features `K` of `x` that stay and `C` that are cut. Ridge regression finds the `Z` and `c` with
/// which `x[K] Z + c` is closest to `x[C] W[C]`: `Z = (S[K,K] + r I)^-1 S[K,C] W[C]`, for the covariance `S` of `x`, and
/// `c = m[C] W[C] - m[K] Z`, for its mean `m`. The layer becomes `y = x[K] (W[K] + Z) + b + c`. One without a bias has no `c`, and takes
/// the second moments of `x` for `S`. This is how CORP (Zhang and Yang 2026, [arXiv:2602.05243](https://arxiv.org/abs/2602.05243))
/// compensates MLPs; with a `Z` of 0 it is the mean shift of Variance-Based Pruning.
///
/// # Errors
///
/// Those of `batches`, or when the network cannot be computed.
pub fn corrected<A: Architecture, E: From<ImportanceError>>(
    model: &A,
    plan: &Plan,
    batches: impl Iterator<Item = Result<Batch, E>>,
    precision: Precision,
) -> Result<A, E> {
    let mut told = Told::of(model);
    let mut layers = cut_layers(&mut told.reads, plan);
    for batch in batches {
        for (reader, _, moments) in told.heard(batch?, moments, precision)? {
            if let Some(layer) = layers.iter_mut().find(|layer| reader == Reader::Layer(layer.weight)) {
                layer.moments.resize(moments.num_elements(), 0.0);
                layer.moments.iter_mut().zip(moments.iter::<f64>()).for_each(|(sum, value)| *sum += value);
            }
        }
    }
    let mut values = Values(HashMap::new());
    layers.iter().flat_map(|layer| [Some(layer.weight), layer.bias]).flatten().for_each(|id| {
        values.0.insert(id, Vec::new());
    });
    model.visit(&mut values);
    let mut changed = HashMap::new();
    for layer in &layers {
        let weight = values.0.get(&layer.weight).map_or(&[][..], |values| values);
        let bias = layer.bias.and_then(|id| values.0.get(&id)).map(Vec::as_slice);
        if let Some((weight, bias)) = layer.corrected(weight, bias) {
            changed.insert(layer.weight, weight);
            changed.extend(layer.bias.map(|id| (id, bias)));
        }
    }
    Ok(model.clone().map(&mut Replaced(changed)))
}

/// The layers that read something that `plan` cuts, and something that stays; `reads` is left with what they read.
fn cut_layers(reads: &mut Vec<Reads>, plan: &Plan) -> Vec<Layer> {
    let mut layers: Vec<Layer> = Vec::new();
    for Reads { reader, bias, dimension, units } in reads.iter() {
        let (Reader::Layer(weight), Some(cut)) = (*reader, plan.get(dimension)) else { continue };
        let at = layers.iter().position(|layer| layer.weight == weight).unwrap_or_else(|| {
            layers.push(Layer { weight, bias: *bias, stays: vec![true; units.len()], moments: Vec::new() });
            layers.len() - 1
        });
        for (stays, unit) in layers[at].stays.iter_mut().zip(units) {
            *stays &= unit.is_none_or(|unit| cut.keep.binary_search(&unit).is_ok());
        }
    }
    layers.retain(|layer| layer.stays.contains(&true) && layer.stays.contains(&false));
    reads.retain(|reads| layers.iter().any(|layer| reads.reader == Reader::Layer(layer.weight)));
    layers
}

/// The sum over samples of the products of all features, with a feature of 1 at the end: `[samples, features]` to
/// `[features + 1, features + 1]`.
fn moments(samples: Tensor<2>) -> Tensor<2> {
    let [count, _] = samples.dims();
    let ones = Tensor::ones([count, 1], &samples.device());
    let samples = Tensor::cat(vec![samples, ones], 1);
    samples.clone().transpose().matmul(samples)
}

/// A layer that reads what is cut.
struct Layer {
    weight: ParamId,
    bias: Option<ParamId>,
    /// For each feature of its input, whether it stays.
    stays: Vec<bool>,
    /// What [`moments`] makes of its input.
    moments: Vec<f64>,
}

impl Layer {
    /// Weight, `[features, outputs]`, and bias after the correction of these; `None` where it read nothing, or is not linear.
    fn corrected(&self, weight: &[f64], bias: Option<&[f64]>) -> Option<(Vec<f64>, Vec<f64>)> {
        let features = self.stays.len();
        let outputs =
            weight.len().checked_div(features).filter(|outputs| outputs * features == weight.len())?;
        let width = features + 1;
        let samples = *self.moments.get(width * width - 1)?;
        let mean = |feature: usize| self.moments[feature * width + features] / samples;
        let covariance = |one: usize, other: usize| {
            let square = self.moments[one * width + other] / samples;
            if bias.is_some() { square - mean(one) * mean(other) } else { square }
        };
        let (kept, cut): (Vec<usize>, Vec<usize>) = (0..features).partition(|&feature| self.stays[feature]);
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
        let added = solve(kept.iter().flat_map(of_kept).collect(), lost, kept.len())?;
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
        // Those of a convolution lie otherwise.
        if let Some(values) = self.0.get_mut(&param.id).filter(|_| D <= 2) {
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
