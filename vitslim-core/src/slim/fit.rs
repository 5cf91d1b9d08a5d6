//! From trained masks and a limit on the network to the largest plan that keeps it: one threshold over all searched dimensions.

use std::collections::{HashMap, HashSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Dimension;
use super::mask::MaskSet;
use super::order::{Floors, MaskAt, Ranked, Scores};
use super::plan::Plan;
use super::rank_error::RankError;

/// How masks of different dimensions compare, where one threshold is for all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum RankingRule {
    /// Each key of the search keeps the same share of its masks: like structures compete among themselves only, as in Isomorphic
    /// Pruning (Fang et al. 2024).
    Isomorphic,
    /// By their activated values, as they are.
    Value,
    /// By their activated values over the mean of their key.
    #[default]
    Normalised,
    /// By their activated values over what they cost: the part of the limit that goes with the mask, counted in the sub-network itself.
    PerCost,
}

/// Rankings of costs that are tried until what is kept and what it costs agree.
const MOST_COUNTS: usize = 4;

/// The least cost that a mask counts with, as a part of the limit: tokens have no parameters.
const LEAST_COST: f64 = 1e-12;

/// How much of what is allowed a network takes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Usage {
    /// Whether it keeps all limits.
    pub fits: bool,
    /// Sum of its parts of the limits.
    pub cost: f64,
}

/// What is fitted: the masks, how they compare, and what stays whatever they are.
#[derive(Clone, Copy)]
pub struct Fitting<'a> {
    /// All dimensions of the network.
    pub dimensions: &'a [Dimension],
    /// The masks of those that are searched.
    pub masks: &'a MaskSet,
    /// The paths of the searched dimensions, key by key.
    pub keys: &'a [Vec<String>],
    /// How masks of different keys compare.
    pub rule: RankingRule,
    /// The most that may be kept.
    pub allowed: &'a Plan,
    /// What is never cut.
    pub floors: &'a Floors,
}

impl Fitting<'_> {
    /// The plan that keeps the masks in front of one threshold, and after it, in order, each further mask that still fits: no limit
    /// is exceeded, and no single mask more would fit. `finished` is applied to each plan before it is judged by `usage`. `None` if
    /// not even what must stay fits.
    ///
    /// # Errors
    ///
    /// When a mask cannot be read or is NaN, or those of `finished` and `usage`.
    pub fn fit<E: From<RankError>>(
        self,
        finished: impl Fn(Plan) -> Result<Plan, E>,
        mut usage: impl FnMut(&Plan) -> Result<Usage, E>,
    ) -> Result<Option<Plan>, E> {
        let is_searched = |path: &str| self.keys.iter().flatten().any(|key| key == path);
        let ranked = Ranked::new(self.dimensions, self.masks, is_searched)?;
        let values = ranked.values()?;
        let by_value = ranked.in_order(values.clone());
        let spared = ranked.spared(&by_value, self.floors);
        let allowed: HashSet<MaskAt> = ranked.kept(self.allowed).into_iter().collect();
        let filling = |scores: Scores| {
            let order = ranked.in_order(scores);
            let others = order.iter().filter(|mask| allowed.contains(mask) && !spared.contains(mask));
            Filling {
                ranked: &ranked,
                kept: order.iter().copied().filter(|mask| spared.contains(mask)).collect(),
                order: others.copied().collect(),
            }
        };
        let finished = |kept: &[MaskAt]| finished(ranked.plan(kept.iter().copied()));
        if self.rule != RankingRule::PerCost {
            return filling(self.scores(&ranked, values)).fill(&finished, &mut usage);
        }
        let mut found: Option<Plan> = None;
        let mut kept = by_value;
        for _ in 0..MOST_COUNTS {
            let costs = costs(&ranked, &kept, &spared, &mut usage)?;
            let scores = values.iter().zip(costs).map(|(values, costs)| {
                values.iter().zip(costs).map(|(value, cost)| per_cost(*value, cost)).collect()
            });
            let Some(plan) = filling(scores.collect()).fill(&finished, &mut usage)? else {
                return Ok(None);
            };
            let is_settled = found.as_ref() == Some(&plan);
            kept = ranked.kept(&plan);
            found = Some(plan);
            if is_settled {
                break;
            }
        }
        Ok(found)
    }

    /// The plan that cuts all that may be cut.
    ///
    /// # Errors
    ///
    /// When a mask cannot be read or is NaN.
    pub fn smallest(self) -> Result<Plan, RankError> {
        let is_searched = |path: &str| self.keys.iter().flatten().any(|key| key == path);
        let ranked = Ranked::new(self.dimensions, self.masks, is_searched)?;
        let order = ranked.in_order(ranked.values()?);
        Ok(ranked.plan(ranked.spared(&order, self.floors)))
    }

    /// What masks are compared by, of their `values`.
    fn scores(self, ranked: &Ranked, mut values: Scores) -> Scores {
        for key in self.keys {
            let of_key: Vec<bool> =
                ranked.ranked.iter().map(|(dimension, _)| key.contains(&dimension.path)).collect();
            let is_of_key = |layer: usize| of_key[layer];
            match self.rule {
                RankingRule::Value | RankingRule::PerCost => {}
                RankingRule::Normalised => {
                    let all = values.iter().enumerate().filter(|(layer, _)| is_of_key(*layer));
                    let all: Vec<f64> = all.flat_map(|(_, values)| values).copied().collect();
                    let mean = all.iter().map(|value| value.abs()).sum::<f64>() / all.len() as f64;
                    let scaled = values.iter_mut().enumerate().filter(|(layer, _)| is_of_key(*layer));
                    // Where all are 0 there is nothing to scale.
                    scaled
                        .filter(|_| mean > 0.0)
                        .flat_map(|(_, values)| values)
                        .for_each(|value| *value /= mean);
                }
                RankingRule::Isomorphic => {
                    let order = ranked.in_order(values.clone());
                    let of_key: Vec<MaskAt> =
                        order.into_iter().filter(|(layer, _)| is_of_key(*layer)).collect();
                    for (place, &(layer, index)) in of_key.iter().enumerate() {
                        values[layer][index] = 1.0 - place as f64 / of_key.len() as f64;
                    }
                }
            }
        }
        values
    }
}

/// What a mask with this value and cost is ranked by. A negative value is the lower, the more it costs.
fn per_cost(value: f64, cost: f64) -> f64 {
    let cost = cost.max(LEAST_COST);
    if value < 0.0 { value * cost } else { value / cost }
}

/// Masks to keep as long as they fit.
struct Filling<'a> {
    ranked: &'a Ranked<'a>,
    /// Those that stay whatever fits.
    kept: Vec<MaskAt>,
    /// The others, those that are kept first at the front.
    order: Vec<MaskAt>,
}

impl Filling<'_> {
    fn fill<E>(
        self,
        finished: &impl Fn(&[MaskAt]) -> Result<Plan, E>,
        usage: &mut impl FnMut(&Plan) -> Result<Usage, E>,
    ) -> Result<Option<Plan>, E> {
        let spared = self.kept.len();
        let order: Vec<MaskAt> = self.kept.into_iter().chain(self.order).collect();
        let mut fitting = |kept: &[MaskAt]| -> Result<Option<Plan>, E> {
            let plan = finished(kept)?;
            Ok(usage(&plan)?.fits.then_some(plan))
        };
        let Some(mut plan) = fitting(&order[..spared])? else { return Ok(None) };
        let (mut below, mut above) = (spared, order.len() + 1);
        // Most often nothing but the first try is whole.
        let mut middle = order.len();
        while above - below > 1 {
            match fitting(&order[..middle])? {
                Some(found) => (plan, below) = (found, middle),
                None => above = middle,
            }
            middle = (below + above) / 2;
        }
        let mut kept = order[..below].to_vec();
        let mut left = order[below..].to_vec();
        // One mask after the other is many networks to count: as long as they fit, twice as many are tried.
        let mut together = 1;
        while !left.is_empty() {
            let tried = together.min(left.len());
            let more: Vec<MaskAt> = kept.iter().chain(&left[..tried]).copied().collect();
            match fitting(&more)? {
                Some(found) => {
                    (plan, kept) = (found, more);
                    left.drain(..tried);
                    together *= 2;
                }
                None if tried > 1 => together = 1,
                // Nor would another one that costs the same.
                None => {
                    let class = |&(layer, index): &MaskAt| self.ranked.classes[layer][index];
                    let too_much = class(&left[0]);
                    left.retain(|mask| class(mask) != too_much);
                }
            }
        }
        Ok(Some(plan))
    }
}

/// What each mask costs in the network that keeps `kept`: what goes with it if it is there, what comes with it if it is not. One that is
/// `spared` is never cut, and its cost does not matter.
fn costs<E>(
    ranked: &Ranked,
    kept: &[MaskAt],
    spared: &HashSet<MaskAt>,
    usage: &mut impl FnMut(&Plan) -> Result<Usage, E>,
) -> Result<Scores, E> {
    let mut of_class: HashMap<usize, f64> = HashMap::new();
    let mut costs = Vec::with_capacity(ranked.classes.len());
    for (layer, classes) in ranked.classes.iter().enumerate() {
        let mut of_layer = Vec::with_capacity(classes.len());
        for (index, class) in classes.iter().enumerate() {
            if !of_class.contains_key(class) {
                let alike = |at: &MaskAt| ranked.classes[at.0][at.1] == *class && !spared.contains(at);
                let others = (index..classes.len()).map(|index| (layer, index));
                let cost = match kept.iter().copied().chain(others).find(alike) {
                    None => LEAST_COST,
                    Some(mask) => {
                        let without = without(ranked, &beside(ranked, kept, mask), mask);
                        let with = ranked.plan(without.iter().copied().chain([mask]));
                        usage(&with)?.cost - usage(&ranked.plan(without))?.cost
                    }
                };
                of_class.insert(*class, cost);
            }
            of_layer.push(of_class[class]);
        }
        costs.push(of_layer);
    }
    Ok(costs)
}

/// `kept`, and the branches that have what `mask` is of: in one that is cut, it would cost nothing.
fn beside(ranked: &Ranked, kept: &[MaskAt], mask: MaskAt) -> Vec<MaskAt> {
    let around = ranked.ranked[mask.0].0.carriers.iter().flat_map(|carrier| &carrier.branches);
    let places = around.filter_map(|path| ranked.ranked.iter().position(|(of, _)| of.path == *path));
    let mut beside = kept.to_vec();
    for branch in places.map(|place| (place, 0)) {
        if !beside.contains(&branch) {
            beside.push(branch);
        }
    }
    beside
}

/// `kept` without `mask`. A token still arrives at the gate of `mask`, and goes no further.
fn without(ranked: &Ranked, kept: &[MaskAt], mask: MaskAt) -> Vec<MaskAt> {
    let gates: HashMap<usize, &[usize]> = ranked.gates().into_iter().collect();
    let token = |(gate, index): MaskAt| Some(gates.get(&gate)?[index]);
    let Some(number) = token(mask) else {
        return kept.iter().copied().filter(|other| *other != mask).collect();
    };
    let others = kept.iter().copied().filter(|other| token(*other) != Some(number));
    let before = gates.iter().filter(|(gate, _)| **gate < mask.0);
    let arrives = before.filter_map(|(gate, tokens)| Some((*gate, tokens.binary_search(&number).ok()?)));
    others.chain(arrives).collect()
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};

    use super::*;
    use crate::slim::{Carrier, DimensionKind, MaskSpec};

    /// What is kept of `a`, whose units cost 10 each, and of `b`, whose cost 1 each, within 22.
    fn kept(rule: RankingRule, values: [[f32; 4]; 2]) -> [Vec<usize>; 2] {
        let dimensions = ["a", "b"].map(|path| Dimension {
            path: path.to_owned(),
            kind: DimensionKind::Features,
            groups: vec![4],
            carriers: vec![],
        });
        let searched = dimensions.clone().map(|dimension| (dimension, MaskSpec::default()));
        let device = Device::flex();
        let masks = MaskSet::new(&searched, &device).map_values(|path, _| {
            let values = values[usize::from(path == "b")];
            Tensor::from_data(TensorData::new(values.to_vec(), [4]), &device)
        });
        let usage = |plan: &Plan| {
            let cost = 10 * plan.cuts[0].keep.len() + plan.cuts[1].keep.len();
            Ok::<_, RankError>(Usage { fits: cost <= 22, cost: cost as f64 / 22.0 })
        };
        let fitting = Fitting {
            dimensions: &dimensions,
            masks: &masks,
            keys: &[vec!["a".to_owned()], vec!["b".to_owned()]],
            rule,
            allowed: &Plan::whole(&dimensions),
            floors: &Floors::default(),
        };
        let plan = fitting.fit(Ok, usage).unwrap().unwrap();
        [plan.cuts[0].keep.clone(), plan.cuts[1].keep.clone()]
    }

    /// What is in a branch that is cut costs what it would with the branch.
    #[test]
    fn a_unit_in_a_branch_that_is_cut_is_not_for_nothing() {
        let dimension = |path: &str, kind: DimensionKind, units: usize| Dimension {
            path: path.to_owned(),
            kind,
            groups: vec![units],
            carriers: vec![Carrier {
                layer: "fc".to_owned(),
                side: "output".to_owned(),
                features_per_unit: 1,
                gated: true,
                branches: vec!["branch".to_owned()],
            }],
        };
        let dimensions =
            [dimension("branch", DimensionKind::Branch, 1), dimension("hidden", DimensionKind::Features, 2)];
        let searched = dimensions.clone().map(|dimension| (dimension, MaskSpec::default()));
        let masks = MaskSet::new(&searched, &Device::flex());
        let ranked = Ranked::new(&dimensions, &masks, |_| true).unwrap();
        let mut usage = |plan: &Plan| {
            let [branch, hidden] = [0, 1].map(|cut: usize| plan.cuts[cut].keep.len());
            Ok::<_, RankError>(Usage { fits: true, cost: (branch * (1 + 10 * hidden)) as f64 })
        };
        let found = costs(&ranked, &[], &HashSet::new(), &mut usage).unwrap();
        assert_eq!(found, [vec![1.0], vec![10.0; 2]]);
    }

    #[test]
    fn rules_compare_masks_of_different_keys_each_in_its_way() {
        let (large, small) = ([5.0, 4.0, 3.0, 2.0], [0.9, 0.8, 0.7, 0.6]);
        let (two_of_each, one_and_all) = ([vec![0, 1], vec![0, 1]], [vec![0], vec![0, 1, 2, 3]]);
        use RankingRule::{Isomorphic, Normalised, PerCost, Value};
        for (rule, values, expected) in [
            (Value, [small, large], &one_and_all),
            (Normalised, [small, large], &two_of_each),
            (Isomorphic, [small, large], &two_of_each),
            (Value, [large, small], &two_of_each),
            (PerCost, [large, small], &one_and_all),
        ] {
            assert_eq!(&kept(rule, values), expected, "{rule:?} of {values:?}");
        }
    }
}
