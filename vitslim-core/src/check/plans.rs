//! The mask sets to compare.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use super::pattern::patterns;
use crate::slim::{Cut, Dimension, NormStatistics, Plan, settle};

/// A mask set to compare.
#[derive(Clone, Debug)]
pub(super) struct Trial {
    /// What it cuts, to follow "with": `some units of hidden cut`.
    pub cuts: String,
    /// Which units stay.
    pub plan: Plan,
}

/// Mask sets for a network with `dimensions`: some units of each pattern alone, or some of its branches; and of all dimensions together
/// one unit cut, one unit left, whole groups cut, some whole layers and branches cut, then the others, and `rounds` times a random share
/// cut; at last with sliced statistics of norms.
pub(super) fn trials(dimensions: &[Dimension], rounds: usize, rng: &mut ChaCha8Rng) -> Vec<Trial> {
    let mut trials = Vec::new();
    let patterns = patterns(dimensions);
    for (name, members) in &patterns {
        let share = rng.random_range(0.4..0.7);
        let is_branch = dimensions[members[0]].is_branch();
        let plan = drawn(
            dimensions,
            |index, cut, rng| match members.contains(&index) {
                true if is_branch && (index == members[0] || rng.random_bool(share)) => cut.keep.clear(),
                true => thin(cut, share, rng),
                false => {}
            },
            rng,
        );
        let some = if is_branch { "some of" } else { "some units of" };
        trials.push(Trial { cuts: format!("{some} `{name}` cut"), plan });
    }
    let mut all = |cuts: &str, draw: &mut dyn FnMut(usize, &mut Cut, &mut ChaCha8Rng)| {
        let plan = drawn(dimensions, draw, rng);
        trials.push(Trial { cuts: cuts.to_owned(), plan });
    };
    all("one unit of each dimension cut", &mut |_, cut, rng| {
        if cut.keep.len() > 1 {
            let gone = rng.random_range(0..cut.keep.len());
            cut.keep.remove(gone);
        }
    });
    all("one unit of each dimension left", &mut |_, cut, rng| {
        let left = cut.keep.choose(rng).copied();
        cut.keep = left.into_iter().collect();
    });
    all("whole groups cut", &mut |_, cut, rng| {
        if cut.of.len() > 1 {
            let gone = rng.random_range(0..cut.of.len());
            let start: usize = cut.of[..gone].iter().sum();
            cut.keep.retain(|unit| !(start..start + cut.of[gone]).contains(unit));
        }
    });
    // A ranking of one dimension always keeps a unit; a name ranks all dimensions that are called so, wherever they are.
    let alone = |index: usize| {
        dimensions.iter().filter(|other| other.name() == dimensions[index].name()).count() == 1
    };
    let empties = |index: usize| !alone(index) && !dimensions[index].is_tokens();
    let mut emptied = vec![false; dimensions.len()];
    all("whole layers cut", &mut |index, cut, rng| {
        if empties(index) && rng.random() {
            emptied[index] = true;
            cut.keep.clear();
        }
    });
    all("whole layers cut", &mut |index, cut, _| {
        if empties(index) && !emptied[index] {
            cut.keep.clear();
        }
    });
    for _ in 0..rounds {
        all("a random share of each dimension cut", &mut |index, cut, rng| {
            let share = rng.random_range(0.2..0.95);
            match dimensions[index].is_branch() {
                true => cut.keep.retain(|_| rng.random_bool(share)),
                false => thin(cut, share, rng),
            }
        });
    }
    all(
        "a random share of each dimension cut, and the statistics of norms sliced",
        &mut |index, cut, rng| {
            if !dimensions[index].is_branch() {
                thin(cut, 0.5, rng);
            }
        },
    );
    trials.last_mut().into_iter().for_each(|trial| trial.plan.norm = NormStatistics::Sliced);
    trials.retain(|trial| cuts_something(&trial.plan));
    trials
}

/// Whether `plan` cuts any unit.
pub(super) fn cuts_something(plan: &Plan) -> bool {
    plan.cuts.iter().any(|cut| cut.keep.len() < cut.units())
}

/// `plan` with all units of each dimension for which `whole` holds, and the branches with which it would go.
pub(super) fn restored(dimensions: &[Dimension], plan: &Plan, whole: impl Fn(usize) -> bool) -> Plan {
    let mut plan = plan.clone();
    let restore = |cut: &mut Cut| cut.keep = (0..cut.units()).collect();
    for index in (0..plan.cuts.len()).filter(|index| whole(*index)) {
        restore(&mut plan.cuts[index]);
        while let Some(branch) = plan.gone_with(&dimensions[index])
            && let Some(cut) = plan.get_mut(branch)
        {
            restore(cut);
        }
    }
    settle(&mut plan, dimensions);
    plan
}

fn drawn(
    dimensions: &[Dimension],
    mut draw: impl FnMut(usize, &mut Cut, &mut ChaCha8Rng),
    rng: &mut ChaCha8Rng,
) -> Plan {
    let mut plan = Plan::whole(dimensions);
    for index in 0..plan.cuts.len() {
        // Tokens that an earlier gate cut do not arrive here.
        settle(&mut plan, dimensions);
        draw(index, &mut plan.cuts[index], rng);
    }
    settle(&mut plan, dimensions);
    plan
}

/// Keeps about `share` of the units of `cut`, but at least one, and cuts at least one if there are two.
fn thin(cut: &mut Cut, share: f64, rng: &mut ChaCha8Rng) {
    let before = cut.keep.clone();
    if before.len() < 2 {
        return;
    }
    cut.keep.retain(|_| rng.random_bool(share));
    if cut.keep.is_empty() {
        cut.keep = before.choose(rng).copied().into_iter().collect();
    } else if cut.keep.len() == before.len() {
        cut.keep.remove(rng.random_range(0..before.len()));
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;
    use crate::models::{Architecture, Vit, VitConfig};
    use crate::slim::describe;

    #[test]
    fn every_pattern_is_cut_alone_and_all_are_cut_together() {
        let config =
            VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 3, ..VitConfig::default() };
        let model = Vit::init(&config, &burn::tensor::Device::flex()).unwrap();
        let dimensions = describe(&model).unwrap();
        let trials = trials(&dimensions, 2, &mut ChaCha8Rng::seed_from_u64(1));
        assert_eq!(trials.len(), 7 + 5 + 2 + 1);
        let cut = |plan: &Plan| -> Vec<usize> {
            (0..plan.cuts.len())
                .filter(|&index| plan.cuts[index].keep.len() < plan.cuts[index].units())
                .collect()
        };
        for ((name, members), trial) in patterns(&dimensions).iter().zip(&trials) {
            assert!(trial.cuts.contains(name), "{}", trial.cuts);
            let (of_pattern, others): (Vec<usize>, Vec<usize>) =
                cut(&trial.plan).into_iter().partition(|index| members.contains(index));
            match dimensions[members[0]].is_branch() {
                true => assert!(of_pattern.contains(&members[0]) && !others.is_empty(), "{name}"),
                false => assert_eq!((&of_pattern, others.len()), (members, 0), "{name}"),
            }
            let goes = |index: &usize| trial.plan.gone_with(&dimensions[*index]).is_some();
            assert!(others.iter().all(goes), "{name}");
        }
        let branches = dimensions.iter().filter(|dimension| dimension.is_branch()).count();
        assert_eq!(cut(&trials[7].plan).len(), dimensions.len() - branches);
        let kept =
            |trial: usize| trials[trial].plan.cuts.iter().map(|cut| cut.keep.len()).collect::<Vec<_>>();
        assert_eq!(kept(8), vec![1; dimensions.len()]);
        for index in cut(&trials[9].plan) {
            let cut = &trials[9].plan.cuts[index];
            assert!(cut.keep == [0, 1, 2] || cut.keep == [3, 4, 5], "{cut:?}");
        }
        let emptied = |trial| kept(trial).into_iter().map(|kept| kept == 0).collect::<Vec<_>>();
        for (index, dimension) in dimensions.iter().enumerate() {
            let is_emptied = emptied(10)[index] || emptied(11)[index];
            assert_eq!(is_emptied, !["width", "tokens"].contains(&dimension.name()), "{}", dimension.path);
        }
        for trial in &trials {
            trial.plan.check(&dimensions).unwrap();
        }
    }
}
