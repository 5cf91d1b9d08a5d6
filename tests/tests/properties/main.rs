//! Hard-masked and sliced networks are the same function, for random architectures, masks and plans, in f64: by the
//! functions of `vitslim selftest`, which draws fewer, in f32. The float
//! type is set once a process, so this is a test binary of its own.

mod forms;
mod hybrid;
mod limits;
mod tied;

use std::collections::BTreeSet;
use std::sync::OnceLock;

use burn::module::Module;
use burn::store::ModuleSnapshot;
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use proptest::prelude::*;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vitslim_core::models::vit::{GlobalPool, MlpLayer};
use vitslim_core::models::{
    Architecture, ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig, random_model,
};
use vitslim_core::selftest::slicing::{PlanKind, draw_plan, relative_difference, trains_after_slicing};
use vitslim_core::slim::{
    Activation, Cut, Dimension, DimensionKind, Granularity, MaskSet, MaskSpec, Plan, PlanError, Ranking,
    Slimmable, describe, heads_as_planned, heads_by_size, kept_count, rank,
};
use vitslim_core::values::{self, random};

use forms::Forms;
use hybrid::{Hybrid, Sizes};
use tied::Tied;

const TOLERANCE: f64 = 1e-10;

fn device() -> Device {
    static DEVICE: OnceLock<Device> = OnceLock::new();
    let device = DEVICE.get_or_init(|| {
        let mut device = Device::flex();
        device.configure(FloatDType::F64).expect("flex computes in f64");
        device
    });
    device.clone()
}

fn config() -> impl Strategy<Value = VitConfig> {
    (1..=3_usize, 1..=3_usize, 1..=5_usize, 1..=3_usize, 1..=3_usize, any::<bool>()).prop_map(
        |(depth, heads, head_dim, patches_a_side, classes, qkv_bias)| VitConfig {
            image_size: 2 * patches_a_side,
            patch_size: 2,
            channels: 1,
            classes,
            dim: heads * head_dim,
            depth,
            heads,
            mlp_ratio: 1.7,
            qkv_bias,
            ..VitConfig::default()
        },
    )
}

/// With what published networks have.
fn published_config() -> impl Strategy<Value = VitConfig> {
    let pools = prop_oneof![
        Just((true, GlobalPool::Token)),
        Just((true, GlobalPool::Avg)),
        Just((false, GlobalPool::Avg))
    ];
    let layers = prop_oneof![Just(MlpLayer::Mlp), Just(MlpLayer::SwiGLUPacked)];
    (config(), pools, layers, 0..=2_usize, any::<Option<bool>>(), any::<[bool; 6]>()).prop_map(
        |(config, (class_token, global_pool), mlp_layer, reg_tokens, fc_norm, chosen)| {
            let [qk_norm, proj_bias, scaled, no_embed_class, pre_norm, final_norm] = chosen;
            VitConfig {
                mlp_ratio: 2.0,
                mlp_layer,
                qk_norm,
                proj_bias,
                init_values: scaled.then_some(1.0),
                class_token,
                reg_tokens,
                no_embed_class,
                pre_norm,
                final_norm,
                global_pool,
                fc_norm,
                ..config
            }
        },
    )
}

fn model(config: &VitConfig, rng: &mut ChaCha8Rng) -> Vit {
    random_model(config, rng, &device()).unwrap_or_else(|failure| panic!("{failure}"))
}

fn difference<A: Architecture>(a: &A, b: &A, images: &Tensor<4>) -> f64 {
    relative_difference(a, b, images).unwrap_or_else(|failure| panic!("{failure}"))
}

/// One to three stages, whose last has one to four windows or is smaller than one.
fn swin_config() -> impl Strategy<Value = SwinConfig> {
    let sizes = (1..=3_usize, 1..=3_usize, 1..=2_usize, 1..=3_usize);
    (sizes, prop::collection::vec(1..=2_usize, 1..=3), any::<[bool; 2]>()).prop_map(
        |((window, heads, windows_a_side, head_dim), depths, [qkv_bias, too_large])| {
            let last_side = window * windows_a_side;
            SwinConfig {
                image_size: last_side << (depths.len() - 1),
                patch_size: 1,
                channels: 1,
                classes: 3,
                dim: heads * head_dim,
                heads: vec![heads; depths.len()],
                depths,
                window: if too_large && windows_a_side == 1 { 100 } else { window },
                mlp_ratio: 1.7,
                qkv_bias,
                dropout: 0.0,
                drop_path: 0.0,
            }
        },
    )
}

/// One to three stages, whose last has a side of one or two; they narrow as well as widen.
fn convnext_config() -> impl Strategy<Value = ConvNextConfig> {
    let stages = prop::collection::vec((1..=6_usize, 1..=2_usize), 1..=3);
    (stages, 1..=2_usize, 1..=2_usize, 0..=2_usize).prop_map(
        |(stages, last_side, patch_size, half_kernel)| {
            let (dims, depths): (Vec<_>, Vec<_>) = stages.into_iter().unzip();
            ConvNextConfig {
                image_size: (patch_size * last_side) << (dims.len() - 1),
                patch_size,
                channels: 1,
                classes: 3,
                dims,
                depths,
                kernel_size: 2 * half_kernel + 1,
                mlp_ratio: 1.7,
                ..ConvNextConfig::default()
            }
        },
    )
}

/// One to three stages, which narrow as well as widen.
fn hybrid_sizes() -> impl Strategy<Value = Sizes> {
    let stages = prop::collection::vec((1..=5_usize, 1..=2_usize), 1..=3);
    (stages, 1..=5_usize, [1..=3_usize, 1..=3_usize])
}

/// Sizes of which some agree by chance.
fn forms() -> impl Strategy<Value = forms::Sizes> {
    prop::array::uniform6(1..=3_usize)
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

fn kind() -> impl Strategy<Value = PlanKind> {
    prop_oneof![
        Just(PlanKind::Whole),
        (0.05..0.95).prop_map(PlanKind::AnyShare),
        Just(PlanKind::Ragged),
        Just(PlanKind::Tokens),
        Just(PlanKind::OneUnit),
        Just(PlanKind::HeadGone),
        Just(PlanKind::BranchesGone),
        Just(PlanKind::OneToken),
        Just(PlanKind::Width),
    ]
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
            2 * w + qkv + a * w + w + 2 * w + w * m + m + m * w + w
        })
        .sum();
    (patch + 1) * w + w + tokens * w + blocks + 2 * w + w * k + k
}

fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().try_into_vec::<f64>().expect("computed in f64")
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
    model.classify(x)
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
        let found = values::relative_difference(&ignoring, &host(sliced.forward(images.clone()).class));
        prop_assert!(found < TOLERANCE, "tokens that are removed, not ignored, differ by {found:e}");

        let read_back: Plan = ron::from_str(&ron::to_string(&plan).unwrap()).unwrap();
        let again = model.slim(&read_back).unwrap();
        prop_assert_eq!(difference(&sliced, &again, &images), 0.0);

        let cuts_something = plan.cuts.iter().any(|cut| cut.keep.len() < cut.units());
        match sliced.slim(&plan) {
            Err(PlanError::Sizes { .. }) => prop_assert!(cuts_something),
            other => prop_assert!(!cuts_something, "sliced twice: {other:?}"),
        }
    }

    #[test]
    fn a_plan_by_budget_keeps_what_it_says_and_folds(
        config in config(),
        granularity in prop_oneof![Just(Granularity::Unit), Just(Granularity::Group), Just(Granularity::Uniform)],
        shares in prop::array::uniform4(prop_oneof![Just(1.0), 0.01..1.0]),
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
        let rankings: Vec<_> = ["head_dim", "hidden", "tokens", "width"]
            .iter()
            .zip(shares)
            .map(|(name, share)| Ranking::named(&dimensions, name, share))
            .collect();
        let plan = rank(&dimensions, &masks, &rankings).unwrap();

        for ranking in &rankings {
            let masks_of = |path: &String| masks.get(path).unwrap().values.dims()[0];
            let count: usize = ranking.dimensions.iter().map(masks_of).sum();
            let mut kept = 0;
            for path in &ranking.dimensions {
                let owners = masks.get(path).unwrap().mask_of_unit();
                let mut owners: Vec<_> = plan.get(path).unwrap().keep.iter().map(|u| owners[*u]).collect();
                owners.sort_unstable();
                owners.dedup();
                kept += owners.len();
            }
            prop_assert_eq!(kept, kept_count(count, ranking.share), "{:?}", ranking);
        }

        let images = random([2, 1, config.image_size, config.image_size], &mut rng, &device());
        let folded = model.fold(&masks);
        let masked = folded.hard_mask(&plan).unwrap();
        let found = difference(&masked, &folded.slim(&plan).unwrap(), &images);
        prop_assert!(found < TOLERANCE, "differs by {found:e}");

        if shares == [1.0; 4] {
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
        check_masked_equals_sliced::<Vit>(&config, config.image_size, kind, seed)?;
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
    fn hard_masked_equals_sliced_of_every_form(sizes in forms(), seed in any::<u64>()) {
        masked_equals_sliced::<Forms>(&sizes, forms::TOKENS, forms::draw, seed)?;
    }

    #[test]
    fn hard_masked_equals_sliced_of_a_distilled_vit(config in config(), kind in kind(), seed in any::<u64>()) {
        check_masked_equals_sliced::<DistilledVit>(&config, config.image_size, kind, seed)?;
    }
}

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
    let next = match again {
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
    // A search refuses to leave nothing to classify by.
    let is_empty = |(dimension, cut): (&Dimension, &Cut)| {
        matches!(dimension.kind, DimensionKind::Tokens { prefix: 0, .. }) && cut.keep.is_empty()
    };
    if here.iter().zip(&next.cuts).any(is_empty) {
        return Ok(());
    }
    let both = first.then(&next).unwrap();
    both.check(&dimensions).unwrap();
    for (cut, (first, next)) in both.cuts.iter().zip(first.cuts.iter().zip(&next.cuts)) {
        prop_assert_eq!(&cut.of, &first.of);
        prop_assert_eq!(cut.keep.len(), next.keep.len());
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
    fn every_form_that_is_cut_twice(sizes in forms(), share in 0.1..1.0, seed in any::<u64>()) {
        check_cut_twice::<Forms>(&sizes, forms::TOKENS, forms::draw, Again::Ranked(share), seed)?;
    }
}

/// `model` with random masks, cut by them, and the plan: the widths of its stages to so many tenths, but that of the middle one
/// is cut the more the less the others are. Asserts that it is the masked one.
fn cut_to_tenths<A: Architecture>(
    model: &A,
    images: &Tensor<4>,
    tenths: usize,
    rng: &mut ChaCha8Rng,
) -> (A, Plan) {
    let dimensions = describe(model).unwrap();
    let share_of = |path: &str| match path {
        path if path.ends_with(".1.width") => 1.0 - tenths as f64 / 10.0,
        path if path.ends_with("width") => tenths as f64 / 10.0,
        _ => 0.6,
    };
    let searched: Vec<_> = dimensions.iter().map(|d| (d.clone(), MaskSpec::default())).collect();
    let masks = MaskSet::new(&searched, &device()).map_values(|_, old| random(old.dims(), rng, &device()));
    let ranking = |path: &str| Ranking { dimensions: vec![path.to_owned()], share: share_of(path) };
    let rankings: Vec<_> = dimensions.iter().map(|dimension| ranking(&dimension.path)).collect();
    let plan = rank(&dimensions, &masks, &rankings).unwrap();

    let folded = model.fold(&masks);
    let sliced = folded.slim(&plan).unwrap();
    let found = difference(&folded.hard_mask(&plan).unwrap(), &sliced, images);
    assert!(found < TOLERANCE, "share {tenths}/10 differs by {found:e}");
    (sliced, plan)
}

/// Heads, hidden units and the width of every stage at the same time, each stage to a share of its own, down to nothing.
#[test]
fn a_swin_is_cut_to_every_share_of_its_widths() {
    let config = SwinConfig {
        image_size: 16,
        patch_size: 1,
        channels: 1,
        classes: 3,
        dim: 10,
        depths: vec![2, 1, 1],
        heads: vec![2, 2, 5],
        window: 4,
        ..SwinConfig::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let model: Swin =
        random_model(&config, &mut rng, &device()).unwrap_or_else(|failure| panic!("{failure}"));
    let images = random([2, 1, 16, 16], &mut rng, &device());
    for tenths in 0..=10 {
        let (sliced, plan) = cut_to_tenths(&model, &images, tenths, &mut rng);
        let width = |stage: usize| plan.get(&format!("layers.{stage}.width")).unwrap().keep.len();
        for stage in 1..3 {
            let merging = sliced.layers[stage].downsample.as_ref().unwrap();
            assert_eq!(merging.norm.gamma.dims(), [4 * width(stage - 1)]);
            assert_eq!(
                merging.norm.width,
                (4 * config.dim) << (stage - 1),
                "the norm keeps its original width"
            );
            assert_eq!(merging.reduction.weight.dims(), [4 * width(stage - 1), width(stage)]);
        }
    }
}

#[test]
fn a_convnext_is_cut_to_every_share_of_its_widths() {
    let config = ConvNextConfig {
        image_size: 16,
        patch_size: 2,
        channels: 1,
        classes: 3,
        dims: vec![10, 15, 12],
        depths: vec![1, 2, 1],
        ..ConvNextConfig::default()
    };
    let mut rng = ChaCha8Rng::seed_from_u64(10);
    let model: ConvNext =
        random_model(&config, &mut rng, &device()).unwrap_or_else(|failure| panic!("{failure}"));
    let images = random([2, 1, 16, 16], &mut rng, &device());
    for tenths in 1..=9 {
        let (sliced, plan) = cut_to_tenths(&model, &images, tenths, &mut rng);
        let width = |stage: usize| plan.get(&format!("stages.{stage}.width")).unwrap().keep.len();
        for (stage, part) in sliced.stages.iter().enumerate() {
            let block = &part.blocks[0];
            assert_eq!(block.conv_dw.weight.dims(), [width(stage), 1, 7, 7]);
            assert_eq!((block.conv_dw.groups, block.gamma.dims()), (width(stage), [width(stage)]));
            assert_eq!(block.norm.width, config.dims[stage], "the norm keeps its original width");
            if let Some((norm, conv)) = &part.downsample {
                assert_eq!(norm.gamma.dims(), [width(stage - 1)]);
                assert_eq!(conv.weight.dims(), [width(stage), width(stage - 1), 2, 2]);
            }
        }
    }
}

/// A budget over the widths of all stages may empty one of them.
fn check_each_stage_emptied<A: Architecture>(config: &A::Config, image_size: usize) {
    let mut rng = ChaCha8Rng::seed_from_u64(11);
    let model: A = random_model(config, &mut rng, &device()).unwrap_or_else(|failure| panic!("{failure}"));
    let images = random([2, 1, image_size, image_size], &mut rng, &device());
    let whole = Plan::whole(&describe(&model).unwrap());
    for emptied in (0..whole.cuts.len()).filter(|&cut| whole.cuts[cut].dimension.ends_with("width")) {
        let mut plan = whole.clone();
        plan.cuts[emptied].keep.clear();
        let sliced = model.slim(&plan).unwrap();
        let found = difference(&model.hard_mask(&plan).unwrap(), &sliced, &images);
        assert!(found < TOLERANCE, "without {}: {found:e}", plan.cuts[emptied].dimension);
    }
}

#[test]
fn a_stage_may_lose_its_whole_width() {
    let convnext = ConvNextConfig {
        image_size: 8,
        patch_size: 2,
        channels: 1,
        classes: 3,
        dims: vec![4, 6, 5],
        depths: vec![1, 2, 1],
        ..ConvNextConfig::default()
    };
    check_each_stage_emptied::<ConvNext>(&convnext, 8);
    let swin = SwinConfig {
        image_size: 8,
        patch_size: 2,
        channels: 1,
        classes: 3,
        dim: 4,
        depths: vec![2, 1, 1],
        heads: vec![2, 2, 2],
        window: 2,
        ..SwinConfig::default()
    };
    check_each_stage_emptied::<Swin>(&swin, 8);
}

/// Each width has one path, by whatever names layers borrow it.
#[test]
fn what_is_lent_keeps_its_path() {
    let model = Hybrid::init(&(vec![(4, 1), (6, 2)], 5, [2, 3]), &device()).unwrap();
    let found: Vec<_> = describe(&model)
        .unwrap()
        .into_iter()
        .map(|dimension| {
            let gated = |gated| if gated { "!" } else { "" };
            let carriers = dimension.carriers.iter();
            let carriers: Vec<_> =
                carriers.map(|c| format!("{} {}{}", c.layer, c.side, gated(c.gated))).collect();
            (dimension.path, dimension.groups, carriers.join(", "))
        })
        .collect();
    let hidden = |place: &str, writers: usize, read: &str| {
        let write: Vec<_> = (0..writers).map(|writer| format!("{place}.write.{writer} output!")).collect();
        let carriers = format!("{}, {read}", write.join(", "));
        (format!("{place}.hidden"), vec![3], carriers)
    };
    let both = |place: &str| format!("{place}.read.0 input, {place}.read.1 input");
    let block = |place: &str, writers: usize| {
        let write: Vec<_> = (0..writers).map(|writer| format!("{place}.write.{writer} input")).collect();
        let read: Vec<_> = (0..writers).map(|reader| format!("{place}.read.{reader} output!")).collect();
        format!("{place}.norm output!, {}, {}", write.join(", "), read.join(", "))
    };
    let grouped = "qkv.0 output!, qkv.1 output!, qkv.2 output!, attention.inner.proj input";
    let width = format!(
        "embed.0 output!, embed.1 output!, {}, stages.0.step.0 output!, stages.0.step.1 input",
        block("before", 2)
    );
    let first = format!(
        "stages.0.step.1 output!, {}, stages.1.step.0 output!, stages.1.step.1 input, side.fc input",
        block("stages.0.blocks.0", 1)
    );
    let last = format!(
        "stages.1.step.1 output!, {}, {}, norm output!, qkv.0 input, qkv.1 input, qkv.2 input, attention.inner.proj output!, \
         head input",
        block("stages.1.blocks.0", 2),
        block("stages.1.blocks.1", 2)
    );
    let expected = [
        ("head_dim".into(), vec![3, 3], grouped.into()),
        ("width".into(), vec![5], width),
        hidden("before", 2, &both("before")),
        ("stages.0.width".into(), vec![4], first),
        hidden("stages.0.blocks.0", 1, "stages.0.blocks.0.read.0 input"),
        ("stages.1.width".into(), vec![6], last),
        hidden("stages.1.blocks.0", 2, &both("stages.1.blocks.0")),
        hidden("stages.1.blocks.1", 2, &both("stages.1.blocks.1")),
    ];
    assert_eq!(found, expected);
}

#[test]
fn after_slicing_one_training_step_changes_every_parameter() {
    trains_after_slicing(&device()).unwrap_or_else(|failure| panic!("{failure}"));
}

#[test]
fn a_norm_over_a_sliced_width_takes_the_rest_as_zeros() {
    use vitslim_core::nn::LayerNormConfig;
    use vitslim_core::slim::{Output, SlimLayer};

    let device = device();
    let norm = LayerNormConfig::new(4).init(&device);
    let kept = Tensor::<1, Int>::from_data(TensorData::from([0_i64, 2]), &device);
    let full = Tensor::<2>::from_data(TensorData::from([[1.0_f64, 0.0, 4.0, 0.0]]), &device);
    let cut = Tensor::<2>::from_data(TensorData::from([[1.0_f64, 4.0]]), &device);
    let (full, cut) = (host(norm.forward(full)), host(norm.select(Output, kept).forward(cut)));
    assert!((full[0] - cut[0]).abs() < 1e-12 && (full[2] - cut[1]).abs() < 1e-12, "{full:?} {cut:?}");
}
