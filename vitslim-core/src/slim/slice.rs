//! Slicing: cut rows and columns are removed.

use std::collections::HashMap;

use burn::tensor::Device;

use super::head_layout::{HeadLayout, by_size};
use super::layer::{Side, SlimLayer, index_tensor};
use super::mapper::{DimensionAxis, DimensionMapper};
use super::plan::{Cut, Plan, PlanError};
use super::scope::Scope;
use super::token_gate::TokenGate;

/// Carries out the cuts of a plan. A layer that cannot be cut like that stays as it is, and the first is the `error`.
pub(super) struct Slice<'a> {
    scope: Scope,
    device: Device,
    /// Whether features are removed; if not, only tokens are, and layers are only asked whether they could be cut.
    features: bool,
    cuts: HashMap<&'a str, &'a Cut>,
    /// The kept units of each layout, in their new order.
    orders: HashMap<String, Vec<usize>>,
    /// The kept groups of each layout, in their new order, and how many there were.
    groups: HashMap<String, (Vec<usize>, usize)>,
    /// The prunable tokens that the previous gate kept.
    tokens_left: Option<Vec<usize>>,
    /// Why a layer could not be cut.
    pub(super) error: Option<PlanError>,
}

impl<'a> Slice<'a> {
    /// Cuts by `plan` on `device`: tokens, and `features` if they are to be cut.
    pub(super) fn new(plan: &'a Plan, features: bool, device: Device) -> Self {
        Self {
            scope: Scope::default(),
            device,
            features,
            cuts: plan.cuts.iter().map(|cut| (cut.dimension.as_str(), cut)).collect(),
            orders: HashMap::new(),
            groups: HashMap::new(),
            tokens_left: None,
            error: None,
        }
    }

    fn select<S: Side, L: SlimLayer<S>>(
        &mut self,
        axis: DimensionAxis,
        layer: L,
        side: S,
        features: &[usize],
    ) -> L {
        if let Err(reason) = layer.check(side, features) {
            let DimensionAxis { dimension, layer: layer_path, .. } = axis;
            let side = side.name();
            self.error.get_or_insert(PlanError::Layer { dimension, layer: layer_path, side, reason });
            return layer;
        }
        if !self.features {
            return layer;
        }
        layer.select(side, index_tensor(features, &self.device))
    }
}

impl DimensionMapper for Slice<'_> {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    /// Puts heads into the order in which they are computed. Any order works, as long as every layer has the same.
    fn map_layout(&mut self, dimension: &str, mut layout: HeadLayout) -> HeadLayout {
        let Some(cut) = self.cuts.get(dimension) else { return layout };
        let units = cut.by_group();
        let sizes: Vec<usize> = units.iter().map(Vec::len).collect();
        let mut order = by_size(&sizes);
        order.retain(|&head| sizes[head] > 0);
        if self.features {
            layout.sizes = order.iter().map(|&head| sizes[head]).collect();
        }
        let units = order.iter().flat_map(|&head| units[head].iter().copied()).collect();
        self.orders.insert(dimension.to_owned(), units);
        self.groups.insert(dimension.to_owned(), (order, cut.of.len()));
        layout
    }

    fn map_tokens(&mut self, dimension: &str, mut gate: TokenGate) -> TokenGate {
        let Some(cut) = self.cuts.get(dimension) else { return gate };
        let all = || (0..cut.units()).collect();
        let arriving = self.tokens_left.take().unwrap_or_else(all);
        let stay = arriving.iter().enumerate().filter(|(_, token)| cut.keep.contains(token));
        let positions = stay.map(|(position, _)| gate.prefix + position);
        let kept: Vec<usize> = (0..gate.prefix).chain(positions).collect();
        let cuts_nothing = cut.keep == arriving;
        self.tokens_left = Some(cut.keep.clone());
        if cuts_nothing {
            gate.tokens = kept.len();
            return gate;
        }
        gate.sliced(index_tensor(&kept, &self.device))
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let Some(cut) = self.cuts.get(axis.dimension.as_str()) else { return layer };
        let order = self.orders.get(&axis.dimension).unwrap_or(&cut.keep);
        if order.len() == cut.units() && order.is_sorted() {
            return layer;
        }
        let features = axis.features(order, cut.units());
        self.select(axis, layer, side, &features)
    }

    fn map_groups_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        match self.groups.get(&axis.dimension) {
            Some((order, of)) if order.len() < *of || !order.is_sorted() => {
                let features = axis.features(order, *of);
                self.select(axis, layer, side, &features)
            }
            _ => layer,
        }
    }
}
