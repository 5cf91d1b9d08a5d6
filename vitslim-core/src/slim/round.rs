//! Kept counts rounded to multiples of the width of a processor's vectors, which compute faster.

use std::collections::HashMap;

use super::dimension::{Dimension, DimensionKind};
use super::mask::{Granularity, MaskSet};
use super::order::{Floors, read};
use super::plan::Plan;
use super::rank_error::RankError;

/// `plan` with the number of kept units of each head, or of each dimension without heads, rounded to the nearest multiple that
/// `multiples` has for the path of the dimension, halves up. The units with the largest masks stay; ties go to the lower index. A head
/// may also be kept whole, whatever its size, or lose all its units, but a dimension that kept any unit keeps some, and none keeps
/// less than `floors` say. Tokens, branches, and dimensions that were not searched are not rounded, and what went with a branch stays gone.
///
/// # Errors
///
/// When a mask cannot be read, or is NaN.
pub fn round(
    mut plan: Plan,
    dimensions: &[Dimension],
    masks: &MaskSet,
    multiples: &HashMap<String, usize>,
    floors: &Floors,
) -> Result<Plan, RankError> {
    for dimension in dimensions.iter().filter(|dimension| dimension.kind == DimensionKind::Features) {
        if plan.gone_with(dimension).is_some() {
            continue;
        }
        let (Some(mask), Some(cut)) = (masks.get(&dimension.path), plan.get_mut(&dimension.path)) else {
            continue;
        };
        let Some(&multiple) = multiples.get(&dimension.path) else { continue };
        let values = read(mask)?;
        let values: Vec<f64> = mask.mask_of_unit().into_iter().map(|mask| values[mask]).collect();
        let groups = groups(dimension);
        let kept = groups.iter().map(|group| cut.keep.iter().filter(|unit| group.contains(unit)).count());
        let kept: Vec<usize> = kept.collect();
        let rounded = groups.iter().zip(&kept).map(|(group, &kept)| {
            let least = floors.of_group(&dimension.path, group.len()).next_multiple_of(multiple);
            nearest(kept, group.len(), multiple).max(least.min(group.len()))
        });
        let mut rounded: Vec<usize> = rounded.collect();
        // Heads that share their masks keep the same dims.
        let is_uniform = mask.spec.granularity == Granularity::Uniform;
        // What was rounded down is given back, to the group first that lost most, until the whole dimension has its least.
        while rounded.iter().sum::<usize>() < floors.of(dimension)
            && let Some(most) = (0..kept.len())
                .rev()
                .filter(|&group| rounded[group] < groups[group].len())
                .max_by_key(|&group| kept[group] as isize - rounded[group] as isize)
        {
            for group in (0..kept.len()).filter(|&group| group == most || is_uniform) {
                rounded[group] = (rounded[group] + multiple).min(groups[group].len());
            }
        }
        if rounded.iter().all(|&count| count == 0)
            && let Some(most) = (0..kept.len()).rev().max_by_key(|&group| kept[group])
            && kept[most] > 0
        {
            let raised = |group: &usize| *group == most || is_uniform;
            (0..kept.len()).filter(raised).for_each(|group| rounded[group] = multiple);
        }
        cut.keep = groups
            .into_iter()
            .zip(rounded)
            .flat_map(|(group, count)| largest(group, &values, count))
            .collect();
    }
    Ok(plan)
}

/// The units of each group.
fn groups(dimension: &Dimension) -> Vec<std::ops::Range<usize>> {
    let ends = dimension.groups.iter().scan(0, |end, size| {
        *end += size;
        Some(*end)
    });
    ends.zip(&dimension.groups).map(|(end, size)| end - size..end).collect()
}

/// The nearest to `kept` of the multiples of `multiple` and `size` itself; of two, the larger.
fn nearest(kept: usize, size: usize, multiple: usize) -> usize {
    let below = kept - kept % multiple;
    let above = (below + multiple).min(size);
    if kept == below || kept - below < above - kept { below } else { above }
}

/// The `count` units of `group` with the largest values, ascending.
fn largest(group: std::ops::Range<usize>, values: &[f64], count: usize) -> Vec<usize> {
    let mut units: Vec<usize> = group.collect();
    units.sort_by(|a, b| values[*b].total_cmp(&values[*a]));
    units.truncate(count);
    units.sort_unstable();
    units
}

#[cfg(test)]
mod tests {
    use burn::tensor::{Device, Tensor, TensorData};
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::slim::{Cut, MaskSpec};

    fn dimension(groups: &[usize]) -> Dimension {
        let (path, kind) = ("attn.head_dim".to_owned(), DimensionKind::Features);
        Dimension { path, kind, groups: groups.to_vec(), carriers: vec![] }
    }

    /// What is left of `groups` whose masks fall from the first to the last unit, of which `keep` are kept.
    fn rounded(groups: &[usize], keep: &[usize], multiple: usize, granularity: Granularity) -> Vec<usize> {
        let dimension = dimension(groups);
        let device = Device::flex();
        let spec = MaskSpec { granularity, ..MaskSpec::default() };
        let masks = MaskSet::new(&[(dimension.clone(), spec)], &device).map_values(|_, old| {
            let values: Vec<f32> = (0..old.dims()[0]).map(|index| 1.0 - index as f32 * 1e-3).collect();
            Tensor::from_data(TensorData::new(values, old.dims()), &device)
        });
        let cut = Cut { dimension: dimension.path.clone(), of: groups.to_vec(), keep: keep.to_vec() };
        let multiples = HashMap::from([(dimension.path.clone(), multiple)]);
        let plan = Plan { cuts: vec![cut], ..Plan::whole(&[]) };
        let plan = round(plan, &[dimension], &masks, &multiples, &Floors::default()).unwrap();
        plan.cuts[0].keep.clone()
    }

    #[test]
    fn each_head_goes_to_its_nearest_multiple() {
        let keep: Vec<usize> = (0..11).chain(16..28).chain(32..35).collect();
        let expected: Vec<usize> = (0..8).chain(16..32).collect();
        assert_eq!(rounded(&[16, 16, 16], &keep, 8, Granularity::Unit), expected);
    }

    #[test]
    fn the_units_with_the_largest_masks_stay() {
        // Kept are the last ones, which no ranking does: what goes and what comes back is by the masks.
        assert_eq!(rounded(&[16], &[11, 12, 13, 14, 15], 8, Granularity::Unit), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn a_head_may_keep_its_whole_size_and_a_dimension_its_last_units() {
        let size_12: Vec<usize> = (0..11).collect();
        assert_eq!(rounded(&[12], &size_12, 8, Granularity::Unit), (0..12).collect::<Vec<_>>());
        assert_eq!(rounded(&[32], &[0, 1], 8, Granularity::Unit), (0..8).collect::<Vec<_>>());
        assert_eq!(rounded(&[8, 8, 8], &[8, 9, 16], 6, Granularity::Unit), (8..14).collect::<Vec<_>>());
        assert_eq!(rounded(&[32], &[], 8, Granularity::Unit), Vec::<usize>::new());
        // Of equals the first.
        assert_eq!(rounded(&[32, 32], &[0, 32], 8, Granularity::Unit), (0..8).collect::<Vec<_>>());
    }

    #[test]
    fn heads_that_share_their_masks_stay_alike() {
        let keep: Vec<usize> = (0..5).chain(16..21).collect();
        let expected: Vec<usize> = (0..8).chain(16..24).collect();
        assert_eq!(rounded(&[16, 16], &keep, 8, Granularity::Uniform), expected);
        assert_eq!(rounded(&[16, 16], &[0, 1, 16, 17], 8, Granularity::Uniform), expected);
    }

    #[test]
    fn sizes_are_multiples_or_whole_and_none_is_further_than_half_a_multiple() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..300 {
            let groups: Vec<usize> = (0..rng.random_range(1..5)).map(|_| rng.random_range(1..40)).collect();
            let multiple = rng.random_range(1..17);
            let share = rng.random();
            let keep: Vec<usize> = (0..groups.iter().sum()).filter(|_| rng.random_bool(share)).collect();
            let left = rounded(&groups, &keep, multiple, Granularity::Unit);
            let case = format!("{groups:?} {multiple} {keep:?} {left:?}");
            for (group, &size) in super::groups(&dimension(&groups)).iter().zip(&groups) {
                let count = |of: &[usize]| of.iter().filter(|unit| group.contains(unit)).count();
                let (left_here, kept) = (count(&left), count(&keep));
                assert!(left_here % multiple == 0 || left_here == size, "{case}");
                assert!(2 * left_here.abs_diff(kept) <= multiple || left.len() == left_here, "{case}");
            }
            assert_eq!(left.is_empty(), keep.is_empty(), "{case}");
        }
    }
}
