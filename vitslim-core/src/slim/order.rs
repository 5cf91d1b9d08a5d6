//! The masks of some dimensions in the order in which a plan keeps them, and the plan that some of them leave.

use std::collections::{HashMap, HashSet};

use super::dimension::Dimension;
use super::mask::{Mask, MaskSet};
use super::plan::{Plan, settle};
use super::rank_error::RankError;

/// How much of a dimension stays, whatever its masks are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Floor {
    /// All of it.
    Whole,
    /// So many of its units.
    Layer(usize),
    /// So many units of each group, of each head for instance.
    Group(usize),
}

/// How much of each dimension stays, by path. Those that are not named may be cut to nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Floors(pub HashMap<String, Floor>);

impl Floors {
    /// The least number of units of a group of `size` in the dimension at `path`.
    pub(super) fn of_group(&self, path: &str, size: usize) -> usize {
        match self.0.get(path) {
            Some(Floor::Whole) => size,
            Some(Floor::Group(units)) => size.min(*units),
            Some(Floor::Layer(_)) | None => 0,
        }
    }

    /// The least number of units of `dimension`.
    pub(super) fn of(&self, dimension: &Dimension) -> usize {
        match self.0.get(&dimension.path) {
            Some(Floor::Layer(units)) => dimension.units().min(*units),
            _ => dimension.groups.iter().map(|size| self.of_group(&dimension.path, *size)).sum(),
        }
    }
}

/// A mask: the place of its dimension among those that are ranked, and its index there.
pub(super) type MaskAt = (usize, usize);

/// A value for each mask of each ranked dimension.
pub(super) type Scores = Vec<Vec<f64>>;

/// Dimensions that are ranked together, with their masks.
pub(super) struct Ranked<'a> {
    /// All dimensions of the network.
    dimensions: &'a [Dimension],
    /// The ranked ones, in the order of the traversal.
    pub ranked: Vec<(&'a Dimension, &'a Mask)>,
    /// For each mask a number that those share which cost the same: of one dimension, with as many units in each group.
    pub classes: Vec<Vec<usize>>,
}

impl<'a> Ranked<'a> {
    /// Those of `dimensions` whose path `is_ranked`.
    ///
    /// # Errors
    ///
    /// When one of them has no mask.
    pub fn new(
        dimensions: &'a [Dimension],
        masks: &'a MaskSet,
        is_ranked: impl Fn(&str) -> bool,
    ) -> Result<Self, RankError> {
        let with_mask = |dimension: &'a Dimension| {
            let mask = masks.get(&dimension.path);
            Ok((dimension, mask.ok_or_else(|| RankError::NotSearched(dimension.path.clone()))?))
        };
        let ranked = dimensions.iter().filter(|dimension| is_ranked(&dimension.path)).map(with_mask);
        let ranked = ranked.collect::<Result<Vec<_>, RankError>>()?;
        let mut known: Vec<(usize, Vec<usize>)> = Vec::new();
        let mut class = |footprint| {
            known.iter().position(|known| *known == footprint).unwrap_or_else(|| {
                known.push(footprint);
                known.len() - 1
            })
        };
        let classes = ranked.iter().enumerate().map(|(place, (dimension, mask))| {
            let of_mask = units_of_mask(dimension, mask).into_iter().map(|units| {
                let mut in_group = vec![0; dimension.groups.len()];
                units.iter().for_each(|&group| in_group[group] += 1);
                class((place, in_group))
            });
            of_mask.collect()
        });
        let classes = classes.collect();
        Ok(Self { dimensions, ranked, classes })
    }

    /// The activated masks.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or is NaN.
    pub fn values(&self) -> Result<Scores, RankError> {
        self.ranked.iter().map(|(_, mask)| read(mask)).collect()
    }

    /// All masks, those with the higher score first; ties go to the earlier dimension, then to the lower index. A token has the highest of
    /// its scores at this and all later gates, so that the kept tokens are nested with depth.
    pub fn in_order(&self, mut scores: Scores) -> Vec<MaskAt> {
        self.raise_to_later_gates(&mut scores);
        let masks = scores.iter().enumerate();
        let mut order: Vec<MaskAt> =
            masks.flat_map(|(layer, scores)| (0..scores.len()).map(move |index| (layer, index))).collect();
        // A stable sort of what stands in order of layer and index settles the ties.
        order.sort_by(|a, b| scores[b.0][b.1].total_cmp(&scores[a.0][a.1]));
        order
    }

    fn raise_to_later_gates(&self, scores: &mut Scores) {
        for pair in self.gates().windows(2).rev() {
            let [(gate, numbers), (later, of_later)] = [pair[0], pair[1]];
            let later = scores[later].clone();
            for (score, number) in scores[gate].iter_mut().zip(numbers) {
                // A token that was cut before the search has no mask from there on.
                if let Ok(unit) = of_later.binary_search(number) {
                    *score = score.max(later[unit]);
                }
            }
        }
    }

    /// The ranked token gates, with the numbers of their tokens.
    pub fn gates(&self) -> Vec<(usize, &'a [usize])> {
        let ranked = self.ranked.iter().enumerate();
        ranked.filter_map(|(place, (dimension, _))| Some((place, dimension.tokens()?))).collect()
    }

    /// The masks that `floors` spare: of each dimension or group, the first in `order`. A token that stays at a gate stays at all before it,
    /// so that the last gate is looked at first, and those before it need fewer of their own.
    pub fn spared(&self, order: &[MaskAt], floors: &Floors) -> HashSet<MaskAt> {
        let mut spared: HashSet<MaskAt> = HashSet::new();
        let mut later: Vec<usize> = Vec::new();
        for (place, (dimension, mask)) in self.ranked.iter().enumerate().rev() {
            if let Some(numbers) = dimension.tokens() {
                let arrives = later.iter().filter_map(|number| numbers.binary_search(number).ok());
                spared.extend(arrives.map(|index| (place, index)));
            }
            if let Some(floor) = floors.0.get(&dimension.path) {
                let units_of_mask = units_of_mask(dimension, mask);
                let is_layer = matches!(floor, Floor::Layer(_));
                // A dimension as a whole counts as one group.
                let group = |group: usize| if is_layer { 0 } else { group };
                let mut left = match floor {
                    Floor::Layer(units) => vec![*units],
                    Floor::Whole | Floor::Group(_) => {
                        dimension.groups.iter().map(|size| floors.of_group(&dimension.path, *size)).collect()
                    }
                };
                let take = |left: &mut Vec<usize>, index: usize| {
                    for &of in &units_of_mask[index] {
                        left[group(of)] = left[group(of)].saturating_sub(1);
                    }
                };
                let here = |at: &&MaskAt| at.0 == place;
                spared.iter().filter(here).for_each(|&(_, index)| take(&mut left, index));
                for &at in order.iter().filter(here) {
                    if !spared.contains(&at) && units_of_mask[at.1].iter().any(|&of| left[group(of)] > 0) {
                        take(&mut left, at.1);
                        spared.insert(at);
                    }
                }
            }
            if let Some(numbers) = dimension.tokens() {
                let here = spared.iter().filter(|at| at.0 == place);
                later = here.map(|&(_, index)| numbers[index]).collect();
            }
        }
        spared
    }

    /// Cuts in `plan` every ranked mask that is not in `kept`.
    pub fn cut(&self, plan: &mut Plan, kept: impl IntoIterator<Item = MaskAt>) {
        let mut stays: Vec<Vec<bool>> =
            self.ranked.iter().map(|(_, mask)| vec![false; mask.count()]).collect();
        kept.into_iter().for_each(|(layer, index)| stays[layer][index] = true);
        for ((dimension, mask), stays) in self.ranked.iter().zip(stays) {
            let units = mask.mask_of_unit().into_iter().enumerate();
            if let Some(cut) = plan.get_mut(&dimension.path) {
                cut.keep = units.filter(|(_, mask)| stays[*mask]).map(|(unit, _)| unit).collect();
            }
        }
    }

    /// The plan that keeps these masks, and whatever is not ranked.
    pub fn plan(&self, kept: impl IntoIterator<Item = MaskAt>) -> Plan {
        let mut plan = Plan::whole(self.dimensions);
        self.cut(&mut plan, kept);
        settle(&mut plan, self.dimensions);
        plan
    }

    /// The masks of which `plan` keeps a unit.
    pub fn kept(&self, plan: &Plan) -> Vec<MaskAt> {
        let mut kept = Vec::new();
        for (place, (dimension, mask)) in self.ranked.iter().enumerate() {
            let mut stays = vec![false; mask.count()];
            let mask_of_unit = mask.mask_of_unit();
            let units = plan.get(&dimension.path).into_iter().flat_map(|cut| &cut.keep);
            units.for_each(|unit| stays[mask_of_unit[*unit]] = true);
            kept.extend((0..stays.len()).filter(|index| stays[*index]).map(|index| (place, index)));
        }
        kept
    }
}

/// The group of each unit that a mask covers, mask by mask.
fn units_of_mask(dimension: &Dimension, mask: &Mask) -> Vec<Vec<usize>> {
    let groups = dimension.groups.iter().enumerate();
    let group_of_unit = groups.flat_map(|(group, size)| std::iter::repeat_n(group, *size));
    let mut units = vec![Vec::new(); mask.count()];
    mask.mask_of_unit().into_iter().zip(group_of_unit).for_each(|(index, group)| units[index].push(group));
    units
}

/// The activated masks, read from the device.
pub(super) fn read(mask: &Mask) -> Result<Vec<f64>, RankError> {
    let data = mask.activated().into_data().convert::<f64>();
    let values = data
        .try_into_vec::<f64>()
        .map_err(|error| RankError::Device { dimension: mask.path.clone(), reason: error.to_string() })?;
    match values.iter().position(|value| value.is_nan()) {
        Some(index) => Err(RankError::NotANumber { dimension: mask.path.clone(), index }),
        // So that -0.0 and 0.0 tie.
        None => Ok(values.into_iter().map(|value| value + 0.0).collect()),
    }
}
