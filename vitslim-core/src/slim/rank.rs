//! From trained masks and a budget to a plan: one global ranking for each key of the budget.

use std::cmp::Reverse;

use super::dimension::{Dimension, DimensionKind};
use super::mask::MaskSet;
use super::order::{Floors, MaskAt, Ranked};
use super::plan::{Plan, settle};
use super::rank_error::RankError;

/// Dimensions whose masks are ranked together, and the share of the masks that stays.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Paths of the dimensions.
    pub dimensions: Vec<String>,
    /// Share of the masks to keep, above 0 and at most 1.
    pub share: f64,
}

impl Ranking {
    /// Ranks all of `dimensions` with this last name together: `hidden` is every `*.hidden`.
    pub fn named(dimensions: &[Dimension], name: &str, share: f64) -> Self {
        let named = dimensions.iter().filter(|dimension| dimension.name() == name);
        Self { dimensions: named.map(|dimension| dimension.path.clone()).collect(), share }
    }

    /// The number of ends of the largest branch that it ranks; `None` if it ranks none.
    fn largest_branch(&self, dimensions: &[Dimension]) -> Option<usize> {
        let ranked = dimensions.iter().filter(|dimension| self.dimensions.contains(&dimension.path));
        ranked.filter(|dimension| dimension.is_branch()).map(|branch| branch.carriers.len()).max()
    }
}

/// How many of `count` masks a share keeps: `share * count`, rounded up. A share is a decimal number, which f64 holds only nearly;
/// 0.9 of 10 is 9 all the same.
pub fn kept_count(count: usize, share: f64) -> usize {
    let product = share * count as f64;
    let whole = product.round();
    // The share and the product are each off by half a unit in their last place.
    let is_whole = (product - whole).abs() <= whole * f64::EPSILON;
    (if is_whole { whole } else { product.ceil() }) as usize
}

/// The plan that keeps the units with the largest masks.
///
/// Each ranking keeps exactly [`kept_count`] of its masks, or all that are left where those of branches leave fewer, by their activated
/// values, sign included; ties go to the earlier layer, then to the lower index. Branches are ranked first, those that have others before
/// these: what is in one that is cut goes with it, and the share is kept elsewhere. Only a ranking that has branches in one another may
/// keep fewer. A token is ranked by its largest mask at this and all later gates, so that the kept tokens are nested with depth. A
/// dimension that no ranking names is kept whole.
///
/// # Errors
///
/// When a ranking names a dimension without masks, or a mask is NaN.
pub fn rank(dimensions: &[Dimension], masks: &MaskSet, rankings: &[Ranking]) -> Result<Plan, RankError> {
    rank_sparing(dimensions, masks, rankings, &Floors::default())
}

/// [`rank`], which keeps first what `floors` spare; where that is more than the share, all of it.
///
/// # Errors
///
/// Those of [`rank`].
pub fn rank_sparing(
    dimensions: &[Dimension],
    masks: &MaskSet,
    rankings: &[Ranking],
    floors: &Floors,
) -> Result<Plan, RankError> {
    let mut plan = Plan::whole(dimensions);
    // What is in a branch that is cut is no choice for the others.
    let mut rankings: Vec<&Ranking> = rankings.iter().collect();
    rankings.sort_by_key(|ranking| Reverse(ranking.largest_branch(dimensions)));
    for ranking in rankings {
        let ranked = Ranked::new(dimensions, masks, |path| ranking.dimensions.iter().any(|of| of == path))?;
        let order = ranked.in_order(ranked.values()?);
        let kept = kept_count(order.len(), ranking.share);
        let is_there: Vec<bool> =
            ranked.ranked.iter().map(|(dimension, _)| plan.gone_with(dimension).is_none()).collect();
        let order: Vec<MaskAt> = order.into_iter().filter(|mask| is_there[mask.0]).collect();
        let spared = ranked.spared(&order, floors);
        let kept = kept.saturating_sub(spared.len());
        let others = order.into_iter().filter(|mask| !spared.contains(mask)).take(kept);
        ranked.cut(&mut plan, spared.iter().copied().chain(others));
    }
    settle(&mut plan, dimensions);
    Ok(plan)
}

/// Cuts tokens in `plan`, so that at each searched gate there are `fewer` less than arrive from the searched gate before it, or at the first
/// than it has itself; at least one stays. Those with the largest masks stay, and first what `floors` spare, however many that are.
///
/// # Errors
///
/// When a mask is NaN.
pub fn thin_tokens(
    plan: &mut Plan,
    dimensions: &[Dimension],
    masks: &MaskSet,
    fewer: usize,
    floors: &Floors,
) -> Result<(), RankError> {
    let is_gate = |path: &str| dimensions.iter().any(|of| of.path == path && of.is_tokens());
    let ranked = Ranked::new(dimensions, masks, |path| is_gate(path) && masks.get(path).is_some())?;
    let order = ranked.in_order(ranked.values()?);
    let mut spared = ranked.spared(&order, floors);
    // In a network that was cut before, the largest masks may be of tokens that are gone at later gates.
    let gates = ranked.gates();
    let last = gates.last().and_then(|(last, numbers)| {
        let best = order.iter().find(|at| at.0 == *last)?;
        numbers.get(best.1)
    });
    spared.extend(last.into_iter().flat_map(|number| {
        gates.iter().filter_map(move |(place, numbers)| Some((*place, numbers.binary_search(number).ok()?)))
    }));
    let mut before: Option<Vec<usize>> = None;
    for &(place, numbers) in &gates {
        let Some(cut) = plan.get_mut(&ranked.ranked[place].0.path) else { continue };
        let arriving = before.as_deref().unwrap_or(numbers);
        let most = arriving.len().saturating_sub(fewer).max(1);
        let is_left = |at: &&MaskAt| cut.keep.contains(&at.1) && arriving.contains(&numbers[at.1]);
        let here = || order.iter().filter(|at| at.0 == place).filter(is_left);
        let mut keep: Vec<usize> = here().filter(|at| spared.contains(at)).map(|at| at.1).collect();
        let others = here().filter(|at| !spared.contains(at)).map(|at| at.1);
        keep.extend(others.take(most.saturating_sub(keep.len())));
        keep.sort_unstable();
        before = Some(keep.iter().map(|&unit| numbers[unit]).collect());
        cut.keep = keep;
    }
    settle(plan, dimensions);
    Ok(())
}

/// How many masks of `ranking` are kept by `floors`, whatever its share, and how many it has.
///
/// # Errors
///
/// When the ranking names a dimension without masks, or a mask is NaN.
pub(crate) fn spared(
    dimensions: &[Dimension],
    masks: &MaskSet,
    ranking: &Ranking,
    floors: &Floors,
) -> Result<(usize, usize), RankError> {
    let ranked = Ranked::new(dimensions, masks, |path| ranking.dimensions.iter().any(|of| of == path))?;
    let order = ranked.in_order(ranked.values()?);
    Ok((ranked.spared(&order, floors).len(), order.len()))
}

/// The first gate at which `plan` leaves no token, not even a prefix token, so that nothing is left to classify.
fn empty_gate<'a>(plan: &Plan, dimensions: &'a [Dimension]) -> Option<&'a str> {
    let is_empty = |dimension: &&Dimension| {
        matches!(dimension.kind, DimensionKind::Tokens { prefix: 0, .. })
            && plan.get(&dimension.path).is_some_and(|cut| cut.keep.is_empty())
    };
    dimensions.iter().find(is_empty).map(|dimension| dimension.path.as_str())
}

/// Checks that `plan` leaves a token at each gate, if only a prefix token.
///
/// # Errors
///
/// When a gate has none.
pub(crate) fn leaves_tokens(plan: &Plan, dimensions: &[Dimension]) -> Result<(), RankError> {
    empty_gate(plan, dimensions).map_or(Ok(()), |path| Err(RankError::NoTokens(path.to_owned())))
}

/// Checks that `rankings` can leave a token at each gate, whatever the masks are. The last gate of a ranking keeps a token only
/// if every earlier gate does, which takes one mask for each gate.
///
/// # Errors
///
/// When a ranking of gates without a prefix keeps fewer masks than it has gates.
pub(crate) fn can_leave_tokens(dimensions: &[Dimension], rankings: &[Ranking]) -> Result<(), RankError> {
    for ranking in rankings {
        let ranked = dimensions.iter().filter(|dimension| ranking.dimensions.contains(&dimension.path));
        let gates: Vec<_> = ranked
            .filter(|dimension| matches!(dimension.kind, DimensionKind::Tokens { prefix: 0, .. }))
            .collect();
        let tokens = gates.iter().map(|gate| gate.units()).sum();
        if let Some(last) = gates.last().filter(|_| kept_count(tokens, ranking.share) < gates.len()) {
            return Err(RankError::NoTokens(last.path.clone()));
        }
    }
    Ok(())
}

/// Makes `plan` keep a token at each gate that would have none: the first that arrives there, or if those were all cut there before,
/// the first that is left there.
pub(crate) fn keep_a_token(plan: &mut Plan, dimensions: &[Dimension]) {
    let gates: Vec<(&str, &[usize])> =
        dimensions.iter().filter_map(|gate| Some((gate.path.as_str(), gate.tokens()?))).collect();
    while let Some(at) =
        empty_gate(plan, dimensions).and_then(|path| gates.iter().position(|(gate, _)| *gate == path))
    {
        let numbers = gates[at].1;
        let arrives = |number: &&usize| {
            at.checked_sub(1).is_none_or(|before| {
                let (path, before) = gates[before];
                plan.get(path).is_some_and(|cut| cut.keep.iter().any(|&unit| before[unit] == **number))
            })
        };
        let Some(&token) = numbers.iter().find(arrives).or(numbers.first()) else { return };
        for (path, numbers) in &gates[..=at] {
            let (Some(cut), Ok(unit)) = (plan.get_mut(path), numbers.binary_search(&token)) else { return };
            if let Err(place) = cut.keep.binary_search(&unit) {
                cut.keep.insert(place, unit);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::slim::{Carrier, Floor, MaskSpec};

    #[test]
    fn a_share_keeps_what_exact_arithmetic_keeps() {
        for units in 1..=2000_usize {
            for hundredths in 1..=100 {
                let exact = (units * hundredths).div_ceil(100);
                assert_eq!(kept_count(units, hundredths as f64 / 100.0), exact, "{hundredths} % of {units}");
            }
            let exact = (units * 12_345).div_ceil(1_000_000);
            assert_eq!(kept_count(units, 0.012_345), exact, "0.012345 of {units}");
        }
        assert_eq!([kept_count(10, 0.9), kept_count(1_000_000_000, 0.7)], [9, 700_000_000]);
        assert_eq!(kept_count(10, f64::MIN_POSITIVE), 1, "no share keeps nothing");
    }

    #[test]
    fn branches_that_have_others_are_ranked_before_these_and_shares_are_kept_where_branches_are() {
        let carrier = |block: usize, layer: &str, branches: &[&str]| Carrier {
            layer: format!("{block}.{layer}"),
            side: "output".to_owned(),
            features_per_unit: 1,
            gated: true,
            branches: branches.iter().map(|branch| format!("{block}.{branch}")).collect(),
        };
        let of = |block: usize, name: &str, kind, units, carriers| Dimension {
            path: format!("{block}.{name}"),
            kind,
            groups: vec![units],
            carriers,
        };
        let block = |block: usize| {
            let (one, other) =
                (carrier(block, "proj", &["attn", "block"]), carrier(block, "fc2", &["mlp", "block"]));
            [
                of(block, "attn", DimensionKind::Branch, 1, vec![one.clone()]),
                of(block, "mlp", DimensionKind::Branch, 1, vec![other.clone()]),
                of(block, "block", DimensionKind::Branch, 1, vec![one, other.clone()]),
                of(block, "hidden", DimensionKind::Features, 4, vec![other]),
            ]
        };
        let dimensions: Vec<Dimension> = (0..4).flat_map(block).collect();
        let searched: Vec<_> = dimensions.iter().map(|of| (of.clone(), MaskSpec::default())).collect();
        let device = Device::flex();
        let masks = MaskSet::new(&searched, &device).map_values(|path, old| {
            let block: f32 = path[..1].parse().unwrap();
            // Attention is worth most in the first block, and a block as a whole in the last.
            let value = if path.ends_with("block") { block } else { -block };
            Tensor::full(old.dims(), value, &device)
        });
        let rankings = [("attn", 0.5), ("block", 0.5), ("hidden", 0.25)];
        let rankings = rankings.map(|(name, share)| Ranking::named(&dimensions, name, share));
        let plan = rank(&dimensions, &masks, &rankings).unwrap();
        let kept = |name: &str| -> Vec<usize> {
            (0..4).map(|block| plan.get(&format!("{block}.{name}")).unwrap().keep.len()).collect()
        };
        assert_eq!([kept("block"), kept("attn"), kept("mlp")], [[0, 0, 1, 1]; 3].map(|of| of.to_vec()));
        assert_eq!(kept("hidden"), [0, 0, 4, 0], "a quarter of all");
        plan.check(&dimensions).unwrap();
    }

    #[test]
    fn so_many_tokens_go_at_each_gate_and_one_stays() {
        let gate = |path: &str| Dimension {
            path: path.to_owned(),
            kind: DimensionKind::Tokens { prefix: 1, numbers: (0..6).collect() },
            groups: vec![6],
            carriers: Vec::new(),
        };
        let gates = ["a.tokens", "b.tokens", "c.tokens", "d.tokens"].map(gate);
        let device = Device::flex();
        // The third is not searched.
        let searched = [0, 1, 3].map(|index| (gates[index].clone(), MaskSpec::default()));
        let masks = MaskSet::new(&searched, &device).map_values(|path, _| {
            let values = match &path[..1] {
                "a" => [0.1, 0.2, 0.3, 0.4, 0.5, 0.6],
                // What is worth most here stays at the gate before.
                "b" => [0.9, 0.0, 0.0, 0.0, 0.0, 0.0],
                _ => [0.0, 0.0, 0.0, 0.0, 0.7, 0.8],
            };
            Tensor::<1>::from_floats(values, &device)
        });
        let thinned = |fewer, floors: &[(&str, Floor)]| {
            let floors = Floors(floors.iter().map(|(path, floor)| ((*path).to_owned(), *floor)).collect());
            let mut plan = Plan::whole(&gates);
            thin_tokens(&mut plan, &gates, &masks, fewer, &floors).unwrap();
            plan.check(&gates).unwrap();
            gates.each_ref().map(|gate| plan.get(&gate.path).unwrap().keep.clone())
        };
        assert_eq!(thinned(1, &[]), [vec![0, 2, 3, 4, 5], vec![0, 2, 4, 5], vec![0, 2, 4, 5], vec![0, 4, 5]]);
        assert_eq!(thinned(2, &[]), [vec![0, 3, 4, 5], vec![0, 5], vec![0, 5], vec![5]]);
        assert_eq!(thinned(4, &[]), [vec![0, 5], vec![5], vec![5], vec![5]], "one stays");
        let floors = [("b.tokens", Floor::Layer(5))];
        assert_eq!(
            thinned(3, &floors),
            [vec![0, 1, 2, 4, 5], vec![0, 1, 2, 4, 5], vec![0, 1, 2, 4, 5], vec![4, 5]]
        );
    }

    #[test]
    fn a_token_stays_where_the_largest_masks_are_of_tokens_that_were_cut_before() {
        for prefix in [0, 1] {
            let gate = |path: &str, numbers: Vec<usize>| Dimension {
                path: path.to_owned(),
                groups: vec![numbers.len()],
                kind: DimensionKind::Tokens { prefix, numbers },
                carriers: Vec::new(),
            };
            let gates = [gate("a.tokens", (0..6).collect()), gate("b.tokens", vec![3, 4, 5])];
            let searched = gates.each_ref().map(|gate| (gate.clone(), MaskSpec::default()));
            let device = Device::flex();
            let masks = MaskSet::new(&searched, &device).map_values(|path, _| match path {
                "a.tokens" => Tensor::<1>::from_floats([9.0, 9.0, 9.0, 0.0, 0.0, 0.0], &device),
                _ => Tensor::<1>::from_floats([1.0, 2.0, 1.0], &device),
            });
            let mut plan = Plan::whole(&gates);
            thin_tokens(&mut plan, &gates, &masks, 3, &Floors::default()).unwrap();
            plan.check(&gates).unwrap();
            assert_eq!(
                plan.cuts.iter().map(|cut| cut.keep.clone()).collect::<Vec<_>>(),
                [vec![0, 1, 4], vec![1]]
            );
        }
    }

    #[test]
    fn a_network_keeps_a_token_to_classify_by() {
        let gate = |path: &str, prefix| Dimension {
            path: path.to_owned(),
            kind: DimensionKind::Tokens { prefix, numbers: (0..4).collect() },
            groups: vec![4],
            carriers: Vec::new(),
        };
        let cut = |prefix, keep: &[usize]| {
            let gates = [gate("a.tokens", prefix), gate("b.tokens", prefix)];
            let mut plan = Plan::whole(&gates);
            plan.get_mut("b.tokens").unwrap().keep = keep.to_vec();
            leaves_tokens(&plan, &gates)
        };
        assert_eq!(cut(0, &[3]), Ok(()));
        assert_eq!(cut(1, &[]), Ok(()));
        assert_eq!(cut(0, &[]), Err(RankError::NoTokens("b.tokens".to_owned())));

        let gates = ["a.tokens", "b.tokens", "c.tokens"].map(|path| gate(path, 0));
        let ranked = |share| can_leave_tokens(&gates, &[Ranking::named(&gates, "tokens", share)]);
        assert_eq!((kept_count(12, 0.25), ranked(0.25)), (3, Ok(())));
        assert_eq!(ranked(0.16), Err(RankError::NoTokens("c.tokens".to_owned())));
        let mut plan = Plan::whole(&gates);
        for (path, keep) in [("a.tokens", vec![2, 3]), ("b.tokens", vec![]), ("c.tokens", vec![])] {
            plan.get_mut(path).unwrap().keep = keep;
        }
        keep_a_token(&mut plan, &gates);
        assert_eq!(
            gates.map(|gate| plan.get(&gate.path).unwrap().keep.clone()),
            [vec![2, 3], vec![2], vec![2]]
        );
    }
}
