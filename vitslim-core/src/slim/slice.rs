//! Slicing: cut rows and columns are removed.

use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Device;

use super::axis::DimensionAxis;
use super::branch_gate::BranchGate;
use super::branches::emptied;
use super::head_layout::{HeadLayout, LaidOut, by_size, without_empty};
use super::kept::Kept;
use super::layer::{Side, SlimLayer, index_tensor};
use super::mapper::DimensionMapper;
use super::plan::{Cut, CutTokens, NormStatistics, Plan, PlanError};
use super::scope::Scope;
use super::token_gate::TokenGate;

/// Carries out the cuts of a plan. A layer that cannot be cut like that stays as it is, and the first is the `error`.
pub(super) struct Slice<'a> {
    scope: Scope,
    device: Device,
    /// Whether features are removed; if not, only tokens are, and layers are only asked whether they could be cut.
    features: bool,
    cuts: HashMap<&'a str, &'a Cut>,
    norm: NormStatistics,
    tokens: CutTokens,
    /// What stays of each dimension.
    kept: HashMap<String, Kept>,
    /// The prunable tokens that the previous gate kept, by their numbers in the dense network.
    tokens_left: Option<Vec<usize>>,
    /// Why a layer could not be cut.
    pub(super) error: Option<PlanError>,
}

impl<'a> Slice<'a> {
    /// Cuts by `plan` on `device`: tokens, and `features` if they are to be cut.
    pub(super) fn new(scope: Scope, plan: &'a Plan, features: bool, device: Device) -> Self {
        Self {
            scope,
            device,
            features,
            cuts: plan.cuts.iter().map(|cut| (cut.dimension.as_str(), cut)).collect(),
            norm: plan.norm,
            tokens: plan.tokens,
            kept: plan
                .cuts
                .iter()
                .map(|cut| (cut.dimension.clone(), Kept::of_groups(cut.by_group())))
                .collect(),
            tokens_left: None,
            error: None,
        }
    }
}

impl DimensionMapper for Slice<'_> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    /// Puts heads into the order in which they are computed. Any order works, as long as every layer has the same.
    fn map_layout(&mut self, laid_out: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        let cuts = laid_out.iter().map(|laid_out| self.cuts.get(laid_out.dimension.as_str()).copied());
        let Some(cuts) = cuts.collect::<Option<Vec<&Cut>>>() else { return layout };
        let stay: Vec<Vec<Vec<usize>>> = cuts.iter().map(|cut| cut.by_group()).collect();
        let sizes: Vec<Vec<usize>> = stay.iter().map(|units| units.iter().map(Vec::len).collect()).collect();
        let order = without_empty(by_size(&sizes), &sizes);
        for (cut, units) in cuts.iter().zip(stay) {
            self.kept.insert(cut.dimension.clone(), Kept::ordered(units, &order));
        }
        if !self.features {
            return layout;
        }
        let left = sizes.iter().map(|sizes| order.iter().map(|&head| sizes[head]).collect());
        layout.with_units(laid_out, &left.collect::<Vec<_>>())
    }

    fn map_tokens(&mut self, dimension: &str, mut gate: TokenGate) -> TokenGate {
        let Some(cut) = self.cuts.get(dimension) else { return gate };
        let here = gate.numbers();
        let stay: Vec<usize> = cut.keep.iter().map(|&unit| here[unit]).collect();
        let arriving = self.tokens_left.replace(stay.clone());
        let cuts_nothing = match &arriving {
            Some(arriving) => *arriving == stay,
            None => gate.kept.is_none() && stay.len() == here.len(),
        };
        if stay.len() < here.len() {
            gate.left = Some(stay.clone());
        }
        gate.tokens = gate.prefix + stay.len();
        if cuts_nothing {
            (gate.kept, gate.merged) = (None, None);
            return gate;
        }
        // At the first gate, all tokens of the dense network arrive.
        let arriving = arriving.unwrap_or_else(|| gate.of_dense());
        let positions = (gate.prefix..).zip(&arriving);
        let (kept, cut): (Vec<_>, Vec<_>) =
            positions.partition(|(_, token)| stay.binary_search(token).is_ok());
        let index = |positions: Vec<(usize, &usize)>, prefix: usize| {
            let positions: Vec<usize> =
                (0..prefix).chain(positions.into_iter().map(|(position, _)| position)).collect();
            index_tensor(&positions, &self.device)
        };
        // Where none stays, there is nothing to merge into.
        let merges = self.tokens == CutTokens::Merge && !kept.is_empty();
        let merged = merges.then(|| index(cut, 0));
        let kept = index(kept, gate.prefix);
        gate.sliced(kept, merged)
    }

    fn map_branch(&mut self, dimension: &str, mut gate: BranchGate) -> BranchGate {
        gate.is_cut |= self.features && self.cuts.get(dimension).is_some_and(|cut| cut.keep.is_empty());
        gate
    }

    fn map_part<T: Module>(&mut self, path: &str, _: &[String], part: T) -> T {
        match self.scope.branches.are_cut_at(path) {
            true => emptied(part),
            false => part,
        }
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let left = axis.left(|path| self.kept.get(path));
        let layer = match self.norm {
            NormStatistics::Sliced if !left.is_empty() => layer.with_statistics_over(side, left.len()),
            _ => layer,
        };
        if left.len() == axis.extent() && left.is_sorted() {
            return layer;
        }
        if let Err(reason) = layer.check(side, &left) {
            let (dimension, side) = (axis.names(), side.name());
            self.error.get_or_insert(PlanError::Layer { dimension, layer: axis.layer, side, reason });
            return layer;
        }
        if !self.features {
            return layer;
        }
        layer.select(side, index_tensor(&left, &self.device))
    }
}
