//! What a plan left is cut again.

use std::collections::BTreeSet;

use burn::module::Module;
use burn::store::ModuleSnapshot;
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vitslim_core::models::{Architecture, ConvNext, Swin, Vit, random_model};
use vitslim_core::selftest::slicing::{PlanKind, draw_plan};
use vitslim_core::slim::{
    Cut, Dimension, DimensionKind, MaskSet, MaskSpec, NormStatistics, Plan, PlanError, Ranking, describe,
    heads_as_planned, rank,
};
use vitslim_core::values::random;

use super::drawn::{convnext_config, form_sizes, hybrid_sizes, kind, published_config, swin_config};
use super::forms::{self, Forms};
use super::hybrid::{self, Hybrid};
use super::{TOLERANCE, device, difference};

/// How what a plan left is cut again.
#[derive(Clone, Copy, Debug)]
enum Again {
    Drawn(PlanKind),
    /// By masks and a share of each dimension.
    Ranked(f64),
}

fn again() -> impl Strategy<Value = Again> {
    prop_oneof![kind().prop_map(Again::Drawn), (0.1..1.0).prop_map(Again::Ranked)]
}

/// Names, shapes and bits of all parameters.
fn bits<M: Module>(model: &M) -> Vec<(String, Vec<usize>, Vec<u8>)> {
    let tensors = model.collect(None, None, false).into_iter();
    tensors.map(|t| (t.name.clone(), t.shape.to_vec(), t.into_bytes().unwrap().to_vec())).collect()
}

/// Whether a network that is cut twice is the one that is cut once by both plans.
fn check_cut_twice<A: Architecture>(
    config: &A::Config,
    image_size: usize,
    draw: impl Fn(&[Dimension], &mut ChaCha8Rng) -> Plan,
    again: Again,
    seed: u64,
) -> Result<(), TestCaseError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let model: A = random_model(config, &mut rng, &device()).unwrap_or_else(|failure| panic!("{failure}"));
    let dimensions = describe(&model).unwrap();
    let all = |dimensions: &[Dimension]| -> Vec<_> {
        let dimensions = dimensions.iter().filter(|dimension| dimension.units() > 0);
        dimensions.map(|dimension| (dimension.clone(), MaskSpec::default())).collect()
    };
    // Heads that share a parameter have one each, as after every search that folds.
    let model = model.fold(&MaskSet::new(&all(&dimensions), &device()));
    let first = draw(&dimensions, &mut rng);
    let left = heads_as_planned(&model.slim(&first).unwrap(), &first);

    let here = describe(&left).unwrap();
    let mut next = match again {
        Again::Drawn(kind) => draw_plan(&here, kind, &mut rng),
        Again::Ranked(share) => {
            let masks = MaskSet::new(&all(&here), &device())
                .map_values(|_, old| random(old.dims(), &mut rng, &device()));
            let names: BTreeSet<&str> = here.iter().map(Dimension::name).collect();
            let ranked = |name: &str| {
                let named = here.iter().filter(|dimension| dimension.units() > 0 && dimension.name() == name);
                Ranking { dimensions: named.map(|dimension| dimension.path.clone()).collect(), share }
            };
            rank(&here, &masks, &names.into_iter().map(ranked).collect::<Vec<_>>()).unwrap()
        }
    };
    if first.norm == NormStatistics::Sliced {
        let other = Plan { norm: NormStatistics::Original, ..next };
        prop_assert_eq!(first.then(&other), Err(PlanError::Norm));
        next = Plan { norm: first.norm, ..other };
    }
    next.tokens = first.tokens;
    // A search refuses to leave nothing to classify by.
    let is_empty = |(dimension, cut): (&Dimension, &Cut)| {
        matches!(dimension.kind, DimensionKind::Tokens { prefix: 0, .. }) && cut.keep.is_empty()
    };
    if here.iter().zip(&next.cuts).any(is_empty) {
        return Ok(());
    }
    let both = first.then(&next).unwrap();
    both.check(&dimensions).unwrap();
    for (cut, first) in both.cuts.iter().zip(&first.cuts) {
        prop_assert_eq!(&cut.of, &first.of);
        // What is in a branch that was cut is no dimension any more.
        prop_assert_eq!(cut.keep.len(), next.get(&cut.dimension).map_or(0, |next| next.keep.len()));
        prop_assert!(cut.keep.iter().all(|unit| first.keep.contains(unit)), "{:?}", cut);
    }
    let (twice, once) = (left.slim(&next).unwrap(), model.slim(&both).unwrap());
    prop_assert_eq!(describe(&twice).unwrap(), describe(&once).unwrap());
    prop_assert!(bits(&twice) == bits(&once), "other parameters");
    let images = random([2, 1, image_size, image_size], &mut rng, &device());
    prop_assert_eq!(difference(&twice, &once, &images), 0.0);
    let found = difference(&left.hard_mask(&next).unwrap(), &twice, &images);
    prop_assert!(found < TOLERANCE, "masked and sliced again differ by {:e}", found);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_vit_that_is_cut_twice(config in published_config(), kind in kind(), again in again(), seed in any::<u64>()) {
        check_cut_twice::<Vit>(&config, config.image_size, |d, rng| draw_plan(d, kind, rng), again, seed)?;
    }

    #[test]
    fn a_swin_that_is_cut_twice(config in swin_config(), kind in kind(), again in again(), seed in any::<u64>()) {
        check_cut_twice::<Swin>(&config, config.image_size, |d, rng| draw_plan(d, kind, rng), again, seed)?;
    }

    #[test]
    fn a_convnext_that_is_cut_twice(config in convnext_config(), kind in kind(), again in again(), seed in any::<u64>()) {
        check_cut_twice::<ConvNext>(&config, config.image_size, |d, rng| draw_plan(d, kind, rng), again, seed)?;
    }

    #[test]
    fn a_hybrid_that_is_cut_twice(sizes in hybrid_sizes(), kind in kind(), again in again(), seed in any::<u64>()) {
        check_cut_twice::<Hybrid>(&sizes, hybrid::TOKENS, |d, rng| draw_plan(d, kind, rng), again, seed)?;
    }

    #[test]
    fn every_form_that_is_cut_twice(sizes in form_sizes(), share in 0.1..1.0, seed in any::<u64>()) {
        check_cut_twice::<Forms>(&sizes, forms::TOKENS, forms::draw, Again::Ranked(share), seed)?;
    }
}
