//! Other orders of the factors of an axis, one of which may be the one that was meant.

use crate::slim::Features;

/// Most terms of a sum that are tried in every order; of more, two are exchanged.
const ALL_ORDERS: usize = 4;

/// `features` with counts at other places, the terms of a sum in another order, or the terms of each group side by side instead of
/// group by group.
pub(super) fn other_orders(features: &Features) -> Vec<Features> {
    let mut orders = match Chain::of(features) {
        Some(chain) => chain.others(),
        None => orders_of_sum(features),
    };
    orders.retain(|order| order != features);
    orders
}

fn orders_of_sum(features: &Features) -> Vec<Features> {
    match features {
        Features::One => Vec::new(),
        Features::Times(count, inside) => {
            other_orders(inside).into_iter().map(|order| Features::Times(*count, order.into())).collect()
        }
        Features::Units(of, inside) => {
            other_orders(inside).into_iter().map(|order| Features::Units(*of, order.into())).collect()
        }
        Features::Groups(of, inside) => {
            let orders = other_orders(inside).into_iter().map(|order| Features::Groups(*of, order.into()));
            let side_by_side = match &**inside {
                Features::Sum(terms) => {
                    let groups = |term: &Features| Features::Groups(*of, term.clone().into());
                    Some(Features::Sum(terms.iter().map(groups).collect()))
                }
                _ => None,
            };
            orders.chain(side_by_side).collect()
        }
        Features::Sum(terms) => {
            let orders = orders_of_terms(terms).into_iter().map(Features::Sum);
            let group_by_group = match terms.first() {
                Some(Features::Groups(of, _)) => {
                    let inside = |term: &Features| match term {
                        Features::Groups(_, inside) => Some((**inside).clone()),
                        _ => None,
                    };
                    let terms: Option<Vec<Features>> = terms.iter().map(inside).collect();
                    terms.map(|terms| Features::Groups(*of, Features::Sum(terms).into()))
                }
                _ => None,
            };
            let inside = terms.iter().enumerate().flat_map(|(index, term)| {
                other_orders(term).into_iter().map(move |order| {
                    let mut terms = terms.clone();
                    terms[index] = order;
                    Features::Sum(terms)
                })
            });
            orders.chain(group_by_group).chain(inside).collect()
        }
    }
}

/// `terms` in other orders, the nearest first.
fn orders_of_terms(terms: &[Features]) -> Vec<Vec<Features>> {
    let mut orders: Vec<Vec<Features>> = Vec::new();
    let mut add = |order: Vec<Features>| {
        if order != terms && !orders.contains(&order) {
            orders.push(order);
        }
    };
    for one in 0..terms.len() {
        for other in one + 1..terms.len() {
            let mut order = terms.to_vec();
            order.swap(one, other);
            add(order);
        }
    }
    if terms.len() <= ALL_ORDERS {
        permutations(terms).into_iter().for_each(add);
    }
    orders
}

fn permutations(terms: &[Features]) -> Vec<Vec<Features>> {
    let Some((first, rest)) = terms.split_first() else { return vec![Vec::new()] };
    let mut all = Vec::new();
    for order in permutations(rest) {
        for place in 0..=order.len() {
            let mut order = order.clone();
            order.insert(place, first.clone());
            all.push(order);
        }
    }
    all
}

/// Counts and one dimension: `[outer, groups, between, units, inner]`.
struct Chain {
    groups: Option<usize>,
    units: usize,
    /// The product of all counts.
    count: usize,
}

impl Chain {
    /// The factors of `features`, if these are counts and one dimension.
    fn of(features: &Features) -> Option<Self> {
        let (mut groups, mut units, mut count, mut at) = (None, None, 1, features);
        loop {
            at = match at {
                Features::Times(times, inside) => {
                    count *= times;
                    inside
                }
                Features::Groups(of, inside) if groups.is_none() && units.is_none() => {
                    groups = Some(*of);
                    inside
                }
                Features::Units(of, inside) if units.is_none() => {
                    units = Some(*of);
                    inside
                }
                Features::One => return Some(Self { groups, units: units?, count }),
                _ => return None,
            };
        }
    }

    /// All places of the counts: those around the dimension first.
    fn others(&self) -> Vec<Features> {
        let mut splits: Vec<[usize; 3]> =
            divisions(self.count).map(|(outer, inner)| [outer, 1, inner]).collect();
        if self.groups.is_some() {
            let between =
                divisions(self.count).filter(|(_, between)| *between > 1).flat_map(|(rest, between)| {
                    divisions(rest).map(move |(outer, inner)| [outer, between, inner])
                });
            splits.extend(between);
        }
        splits.into_iter().map(|split| self.with(split)).collect()
    }

    fn with(&self, [outer, between, inner]: [usize; 3]) -> Features {
        let units = Features::Units(self.units, Features::One.times(inner).into()).times(between);
        let all = match self.groups {
            Some(of) => Features::Groups(of, units.into()),
            None => units,
        };
        all.times(outer)
    }
}

/// Ways to split `count` into two factors, the largest first one first.
pub(super) fn divisions(count: usize) -> impl Iterator<Item = (usize, usize)> {
    (1..=count)
        .rev()
        .filter(move |outer| count.is_multiple_of(*outer))
        .map(move |outer| (outer, count / outer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_move_and_terms_change_places() {
        let units = |of: usize| Features::Units(of, Features::One.into());
        let grouped = |inside: Features| Features::Groups(0, inside.into());
        let three = grouped(units(0)).times(3);
        let expected =
            [grouped(Features::Units(0, Features::One.times(3).into())), grouped(units(0).times(3))];
        assert_eq!(other_orders(&three), expected);

        let sum = |terms: &[usize]| Features::Sum(terms.iter().map(|of| units(*of)).collect());
        assert_eq!(other_orders(&sum(&[0, 1])), [sum(&[1, 0])]);
        let by_head = grouped(sum(&[0, 0, 1]));
        let side_by_side = Features::Sum([0, 0, 1].map(|of| grouped(units(of))).to_vec());
        let expected = [grouped(sum(&[1, 0, 0])), grouped(sum(&[0, 1, 0])), side_by_side.clone()];
        assert_eq!(other_orders(&by_head), expected);
        assert!(other_orders(&side_by_side).contains(&by_head));
    }
}
