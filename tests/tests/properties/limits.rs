//! A budget for the network as a whole leaves the largest network that keeps it, for random networks, masks and rules.

use std::collections::HashMap;

use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vitslim_core::data::ImageShape;
use vitslim_core::graph::macs;
use vitslim_core::models::{Architecture, ConvNext, Parameter, Swin, Vit, random_model};
use vitslim_core::slim::{
    Activation, Dimension, Fitting, Floor, Floors, Granularity, MaskSet, MaskSpec, Plan, RankError, Ranking,
    RankingRule, Usage, describe, rank_sparing,
};
use vitslim_core::values::random;

use super::drawn::{config, convnext_config, swin_config};
use super::{device, goes};

#[derive(Clone, Debug)]
struct Asked {
    rule: RankingRule,
    granularity: Granularity,
    /// Of the dense network.
    share: f64,
    of_parameters: bool,
    floor: Option<Floor>,
    /// The most that the first key keeps.
    most: Option<f64>,
    seed: u64,
}

fn asked() -> impl Strategy<Value = Asked> {
    use RankingRule::*;
    let rules = prop::sample::select(vec![Isomorphic, Value, Normalised, PerCost]);
    let granularities =
        prop::sample::select(vec![Granularity::Unit, Granularity::Group, Granularity::Uniform]);
    let floors = prop::option::of(prop_oneof![
        Just(Floor::Whole),
        (1..4_usize).prop_map(Floor::Layer),
        (1..3_usize).prop_map(Floor::Group)
    ]);
    (rules, granularities, 0.05..1.0, any::<bool>(), floors, prop::option::of(0.1..1.0), any::<u64>())
        .prop_map(|(rule, granularity, share, of_parameters, floor, most, seed)| Asked {
            rule,
            granularity,
            share,
            of_parameters,
            floor,
            most,
            seed,
        })
}

/// The masks that `plan` lacks, each with the units that it would bring. A token comes only where it arrives. A branch brings what is
/// kept in it, and without that costs nothing: neither is looked at.
fn lacking(dimensions: &[Dimension], masks: &MaskSet, plan: &Plan) -> Vec<(String, Vec<usize>)> {
    let mut lacking = Vec::new();
    let mut arriving: Option<&Vec<usize>> = None;
    for dimension in dimensions.iter().filter(|dimension| !dimension.is_branch() && !goes(plan, dimension)) {
        let keep = &plan.get(&dimension.path).unwrap().keep;
        let owners = masks.get(&dimension.path).unwrap().mask_of_unit();
        for mask in 0..masks.get(&dimension.path).unwrap().count() {
            let units: Vec<usize> = (0..owners.len()).filter(|unit| owners[*unit] == mask).collect();
            let arrives = !dimension.is_tokens()
                || arriving.is_none_or(|arriving| units.iter().all(|unit| arriving.contains(unit)));
            if arrives && units.iter().any(|unit| !keep.contains(unit)) {
                lacking.push((dimension.path.clone(), units));
            }
        }
        if dimension.is_tokens() {
            arriving = Some(keep);
        }
    }
    lacking
}

fn check<A: Architecture>(
    config: &A::Config,
    channels: usize,
    size: usize,
    asked: &Asked,
) -> Result<(), TestCaseError> {
    let mut rng = ChaCha8Rng::seed_from_u64(asked.seed);
    let model: A = random_model(config, &mut rng, &device()).unwrap_or_else(|failure| panic!("{failure}"));
    let dimensions = describe(&model).unwrap();
    let spec = |dimension: &Dimension| MaskSpec {
        granularity: if asked.granularity.fits(dimension) { asked.granularity } else { Granularity::Unit },
        activation: if dimension.is_tokens() { Activation::Tanh } else { Activation::Identity },
        ..MaskSpec::default()
    };
    let searched: Vec<_> = dimensions.iter().map(|dimension| (dimension.clone(), spec(dimension))).collect();
    let masks =
        MaskSet::new(&searched, &device()).map_values(|_, old| random(old.dims(), &mut rng, &device()));
    let mut keys: Vec<Vec<String>> = Vec::new();
    for dimension in &dimensions {
        let same = |key: &&mut Vec<String>| key[0].rsplit('.').next() == Some(dimension.name());
        match keys.iter_mut().find(same) {
            Some(key) => key.push(dimension.path.clone()),
            None => keys.push(vec![dimension.path.clone()]),
        }
    }
    let floors: HashMap<String, Floor> =
        keys[0].iter().filter_map(|path| Some((path.clone(), asked.floor?))).collect();
    let mut floors = Floors(floors);
    // Nothing gets through a network without width.
    for width in dimensions.iter().filter(|dimension| dimension.name() == "width") {
        floors.0.entry(width.path.clone()).or_insert(Floor::Layer(1));
    }
    // Of the second half of a key, so that tokens that must stay arrive from gates without a share.
    let part = |key: &Vec<String>| key[key.len() / 2..].to_vec();
    let shared: Vec<String> = keys.last().map(part).unwrap_or_default();
    let most = asked.most;
    let shares: Vec<Ranking> =
        most.into_iter().map(|share| Ranking { dimensions: shared.clone(), share }).collect();

    let image = ImageShape { channels, size };
    let measure = |plan: &Plan| {
        let sliced = model.valid().slim(plan).unwrap();
        match asked.of_parameters {
            true => Parameter::count(&sliced) as u64,
            false => macs(&sliced, image).unwrap(),
        }
    };
    let limit = (asked.share * measure(&Plan::whole(&dimensions)) as f64) as u64;
    let usage = |plan: &Plan| {
        let used = measure(plan);
        Ok::<_, RankError>(Usage { fits: used <= limit, cost: used as f64 / limit.max(1) as f64 })
    };
    let allowed = rank_sparing(&dimensions, &masks, &shares, &floors).unwrap();
    let fitting = Fitting {
        dimensions: &dimensions,
        masks: &masks,
        keys: &keys,
        rule: asked.rule,
        allowed: &allowed,
        floors: &floors,
    };
    let smallest = measure(&fitting.smallest().unwrap());
    let others = masks.clone().map_values(|_, old| random(old.dims(), &mut rng, &device()));
    // Heads as a whole may differ in what they cost, and tokens at a gate do not.
    if asked.granularity == Granularity::Unit {
        let by_others = measure(&Fitting { masks: &others, ..fitting }.smallest().unwrap());
        prop_assert_eq!(smallest, by_others, "the smallest network depends on the masks");
    }
    let Some(plan) = fitting.fit(Ok, usage).unwrap() else {
        prop_assert!(smallest > limit, "a network of {smallest} fits into {limit}");
        return Ok(());
    };
    prop_assert!(plan.check(&dimensions).is_ok());
    let used = measure(&plan);
    prop_assert!(used <= limit, "{used} exceed {limit}");
    let spared = |dimension: &&Dimension| keys[0].contains(&dimension.path) && !goes(&plan, dimension);
    for dimension in dimensions.iter().filter(spared) {
        let keep = &plan.get(&dimension.path).unwrap().keep;
        match asked.floor {
            Some(Floor::Whole) => prop_assert_eq!(keep.len(), dimension.units()),
            Some(Floor::Layer(least)) => prop_assert!(keep.len() >= least.min(dimension.units())),
            Some(Floor::Group(least)) => {
                let mut start = 0;
                for size in &dimension.groups {
                    let here = keep.iter().filter(|unit| (start..start + size).contains(unit)).count();
                    prop_assert!(here >= least.min(*size));
                    start += size;
                }
            }
            None => {}
        }
    }
    for (path, units) in lacking(&dimensions, &masks, &plan) {
        // Shares are a limit of their own.
        if most.is_some() && shared.contains(&path) {
            continue;
        }
        let mut more = plan.clone();
        let keep = &mut more.get_mut(&path).unwrap().keep;
        keep.extend(units.iter().filter(|unit| !plan.get(&path).unwrap().keep.contains(unit)));
        keep.sort_unstable();
        let with = measure(&more);
        prop_assert!(with > limit, "{path} {units:?} would fit: {with} of {limit}");
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    #[test]
    fn of_vits(config in config(), asked in asked()) {
        check::<Vit>(&config, config.channels, config.image_size, &asked)?;
    }

    #[test]
    fn of_swins(config in swin_config(), asked in asked()) {
        check::<Swin>(&config, config.channels, config.image_size, &asked)?;
    }

    #[test]
    fn of_convnexts(config in convnext_config(), asked in asked()) {
        check::<ConvNext>(&config, config.channels, config.image_size, &asked)?;
    }
}
