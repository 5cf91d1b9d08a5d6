//! A network that is cut is the one that is masked.

use burn::module::Module;
use burn::tensor::{Tensor, TensorData};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vitslim_core::models::{Architecture, ConvNext, DistilledVit, Swin, Vit, VitConfig, random_model};
use vitslim_core::nn::TokenSizes;
use vitslim_core::selftest::slicing::{PlanKind, draw_plan};
use vitslim_core::slim::{
    Activation, CutTokens, Dimension, Granularity, MaskSet, MaskSpec, Plan, PlanError, Ranking, Slimmable,
    describe, heads_as_planned, heads_by_size, kept_count, rank,
};
use vitslim_core::values::{self, random};

use super::drawn::{
    config, convnext_config, distilled_config, form_sizes, hybrid_sizes, kind, published_config, swin_config,
};
use super::forms::{self, Forms};
use super::hybrid::{self, Hybrid};
use super::tied::{self, Tied};
use super::{TOLERANCE, device, difference, goes, host};

fn model(config: &VitConfig, rng: &mut ChaCha8Rng) -> Vit {
    random_model(config, rng, &device()).unwrap_or_else(|failure| panic!("{failure}"))
}

/// Whether hard-masked and sliced are the same function for a random model and plan.
fn check_masked_equals_sliced<A: Architecture>(
    config: &A::Config,
    image_size: usize,
    kind: PlanKind,
    seed: u64,
) -> Result<(), TestCaseError> {
    let (model, sliced): (A, A) =
        masked_equals_sliced(config, image_size, |dimensions, rng| draw_plan(dimensions, kind, rng), seed)?;
    prop_assert!(Module::num_params(&sliced) <= Module::num_params(&model));
    Ok(())
}

/// Whether hard-masked and sliced are the same function for a random model and the plan that `draw` draws: the model, and the sliced
/// one.
fn masked_equals_sliced<A: Architecture>(
    config: &A::Config,
    image_size: usize,
    draw: impl Fn(&[Dimension], &mut ChaCha8Rng) -> Plan,
    seed: u64,
) -> Result<(A, A), TestCaseError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let model: A = random_model(config, &mut rng, &device()).unwrap_or_else(|failure| panic!("{failure}"));
    let plan = draw(&describe(&model).unwrap(), &mut rng);
    let images = random([2, 1, image_size, image_size], &mut rng, &device());
    let (masked, sliced) = (model.hard_mask(&plan).unwrap(), model.slim(&plan).unwrap());
    let found = difference(&masked, &sliced, &images);
    prop_assert!(found < TOLERANCE, "differs by {:e}", found);

    let planned = heads_as_planned(&sliced, &plan);
    let found = difference(&sliced, &planned, &images);
    prop_assert!(found < TOLERANCE, "in the order of the plan it differs by {:e}", found);
    prop_assert_eq!(difference(&sliced, &heads_by_size(&planned), &images), 0.0, "read back");
    Ok((model, sliced))
}

/// Parameters that a plan leaves, by arithmetic.
fn parameters(config: &VitConfig, plan: &Plan) -> usize {
    let kept = |path: &str| plan.get(path).unwrap().keep.len();
    let (w, k) = (kept("width"), config.classes);
    let tokens = (config.image_size / config.patch_size).pow(2) + 1;
    let patch = config.channels * config.patch_size.pow(2);
    let blocks: usize = (0..config.depth)
        .map(|block| {
            let a = kept(&format!("blocks.{block}.attn.head_dim"));
            let m = kept(&format!("blocks.{block}.mlp.hidden"));
            let qkv = 3 * a * (w + usize::from(config.qkv_bias));
            let attention = 2 * w + qkv + a * w + w;
            let mlp = 2 * w + w * m + m + m * w + w;
            kept(&format!("blocks.{block}.attn_branch")) * attention
                + kept(&format!("blocks.{block}.mlp_branch")) * mlp
        })
        .sum();
    (patch + 1) * w + w + tokens * w + blocks + 2 * w + w * k + k
}

/// The logits of `model` with cut features masked and no token removed: the attention of each block ignores the tokens that `plan`
/// cuts there. This shares nothing with the slicer.
fn with_ignored_tokens(model: &Vit, plan: &Plan, images: &Tensor<4>) -> Tensor<2> {
    let mut features = plan.clone();
    for cut in features.cuts.iter_mut().filter(|cut| cut.dimension.ends_with("tokens")) {
        cut.keep = (0..cut.units()).collect();
    }
    let model = model.hard_mask(&features).unwrap();
    let mut x = model.embed(images.clone());
    let tokens = x.dims()[1];
    for (number, block) in model.blocks.iter().enumerate() {
        let keep = &plan.get(&format!("blocks.{number}.tokens")).unwrap().keep;
        // The class token is the first.
        let score = |token| if token == 0 || keep.contains(&(token - 1)) { 0.0 } else { -1e9 };
        let scores = TensorData::new((0..tokens).map(score).collect::<Vec<f64>>(), [1, 1, 1, tokens]);
        let bias = Tensor::<4>::from_data(scores, &device()).expand([1, 1, tokens, tokens]);
        let qkv = block.attn.qkv.forward(block.norm1.forward(x.clone()));
        x = x + block.attn.proj.forward(block.attn.heads.attend_with_bias(qkv, bias));
        x = x.clone() + block.mlp.forward(block.norm2.forward(x));
    }
    model.classify(x, &TokenSizes::default())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hard_masked_equals_sliced(config in config(), kind in kind(), seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let model = model(&config, &mut rng);
        let dimensions = describe(&model).unwrap();
        let plan = draw_plan(&dimensions, kind, &mut rng);
        let images = random([2, 1, config.image_size, config.image_size], &mut rng, &device());

        let sliced = model.slim(&plan).unwrap();
        let found = difference(&model.hard_mask(&plan).unwrap(), &sliced, &images);
        prop_assert!(found < TOLERANCE, "differs by {found:e}");
        prop_assert_eq!(sliced.num_params(), parameters(&config, &plan));
        let ignoring = host(with_ignored_tokens(&model, &plan, &images));
        let dropped = model.slim(&Plan { tokens: CutTokens::Drop, ..plan.clone() }).unwrap();
        let found = values::relative_difference(&ignoring, &host(dropped.forward(images.clone()).class));
        prop_assert!(found < TOLERANCE, "tokens that are removed, not ignored, differ by {found:e}");

        let read_back: Plan = ron::from_str(&ron::to_string(&plan).unwrap()).unwrap();
        let again = model.slim(&read_back).unwrap();
        prop_assert_eq!(difference(&sliced, &again, &images), 0.0);

        let cuts_something = plan.cuts.iter().any(|cut| cut.keep.len() < cut.units());
        match sliced.slim(&plan) {
            Err(PlanError::Sizes { .. } | PlanError::UnknownDimension(_)) => prop_assert!(cuts_something),
            other => prop_assert!(!cuts_something, "sliced twice: {other:?}"),
        }
    }

    #[test]
    fn a_plan_by_budget_keeps_what_it_says_and_folds(
        config in config(),
        granularity in prop_oneof![Just(Granularity::Unit), Just(Granularity::Group), Just(Granularity::Uniform)],
        shares in prop::array::uniform6(prop_oneof![Just(1.0), 0.01..1.0]),
        ties in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let model = model(&config, &mut rng);
        let dimensions = describe(&model).unwrap();
        let searched: Vec<_> = dimensions
            .iter()
            .map(|dimension| {
                let granularity =
                    if granularity.fits(dimension) { granularity } else { Granularity::Unit };
                let activation =
                    if dimension.is_tokens() { Activation::Tanh } else { Activation::Identity };
                (dimension.clone(), MaskSpec { granularity, activation, ..MaskSpec::default() })
            })
            .collect();
        let masks = MaskSet::new(&searched, &device()).map_values(|_, old| match ties {
            true => old,
            false => random(old.dims(), &mut rng, &device()),
        });
        let rankings: Vec<_> = ["head_dim", "hidden", "tokens", "width", "attn_branch", "mlp_branch"]
            .iter()
            .zip(shares)
            .map(|(name, share)| Ranking::named(&dimensions, name, share))
            .collect();
        let plan = rank(&dimensions, &masks, &rankings).unwrap();

        for ranking in &rankings {
            let masks_of = |path: &String| masks.get(path).unwrap().values.dims()[0];
            let count: usize = ranking.dimensions.iter().map(masks_of).sum();
            // What is in a branch that is cut goes with it.
            let is_there = |path: &&String| {
                !goes(&plan, dimensions.iter().find(|of| of.path == **path).unwrap())
            };
            let there: usize = ranking.dimensions.iter().filter(is_there).map(masks_of).sum();
            let mut kept = 0;
            for path in &ranking.dimensions {
                let owners = masks.get(path).unwrap().mask_of_unit();
                let mut owners: Vec<_> = plan.get(path).unwrap().keep.iter().map(|u| owners[*u]).collect();
                owners.sort_unstable();
                owners.dedup();
                kept += owners.len();
            }
            prop_assert_eq!(kept, kept_count(count, ranking.share).min(there), "{:?}", ranking);
        }

        let images = random([2, 1, config.image_size, config.image_size], &mut rng, &device());
        let folded = model.fold(&masks);
        let masked = folded.hard_mask(&plan).unwrap();
        let found = difference(&masked, &folded.slim(&plan).unwrap(), &images);
        prop_assert!(found < TOLERANCE, "differs by {found:e}");

        if shares == [1.0; 6] {
            let whole = model.slim(&plan).unwrap();
            prop_assert_eq!(difference(&model, &whole, &images), 0.0);
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hard_masked_equals_sliced_of_published_vits(
        config in published_config(),
        kind in kind(),
        seed in any::<u64>(),
    ) {
        let draw = |dimensions: &[Dimension], rng: &mut ChaCha8Rng| draw_plan(dimensions, kind, rng);
        let (model, sliced): (Vit, Vit) = masked_equals_sliced(&config, config.image_size, draw, seed)?;
        // Norms that all heads share are one for each, once heads have dims of their own.
        let without_shared = |model: &Vit| {
            let norms = model.blocks.iter().flat_map(|block| [&block.attn.q_norm, &block.attn.k_norm]);
            Module::num_params(model) - norms.map(Module::num_params).sum::<usize>()
        };
        prop_assert!(without_shared(&sliced) <= without_shared(&model));
    }

    #[test]
    fn hard_masked_equals_sliced_of_swin(config in swin_config(), kind in kind(), seed in any::<u64>()) {
        check_masked_equals_sliced::<Swin>(&config, config.image_size, kind, seed)?;
    }

    #[test]
    fn hard_masked_equals_sliced_of_convnext(config in convnext_config(), kind in kind(), seed in any::<u64>()) {
        check_masked_equals_sliced::<ConvNext>(&config, config.image_size, kind, seed)?;
    }

    #[test]
    fn hard_masked_equals_sliced_of_a_hybrid(sizes in hybrid_sizes(), kind in kind(), seed in any::<u64>()) {
        check_masked_equals_sliced::<Hybrid>(&sizes, hybrid::TOKENS, kind, seed)?;
    }

    #[test]
    fn hard_masked_equals_sliced_with_tied_weights(sizes in [1..=5_usize, 1..=4_usize, 1..=3_usize, 0..=3_usize], kind in kind(), seed in any::<u64>()) {
        check_masked_equals_sliced::<Tied>(&sizes, tied::SIDE, kind, seed)?;
    }

    #[test]
    fn hard_masked_equals_sliced_of_every_form(sizes in form_sizes(), seed in any::<u64>()) {
        masked_equals_sliced::<Forms>(&sizes, forms::TOKENS, forms::draw, seed)?;
    }

    #[test]
    fn hard_masked_equals_sliced_of_a_distilled_vit(config in distilled_config(), kind in kind(), seed in any::<u64>()) {
        check_masked_equals_sliced::<DistilledVit>(&config, config.image_size, kind, seed)?;
    }
}
