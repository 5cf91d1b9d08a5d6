//! Hard-masked and sliced networks are the same function, for random architectures, masks and plans, in f64. The float
//! type is set once a process, so this is a test binary of its own.

use std::sync::OnceLock;

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param};
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, FloatDType, Int, Tensor, TensorData};
use proptest::prelude::*;
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::slim::{
    Activation, Dimension, Granularity, MaskSet, MaskSpec, Plan, PlanError, Ranking, Slimmable, describe,
    kept_count, rank,
};

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

fn random<const D: usize>(shape: [usize; D], rng: &mut impl Rng, device: &Device) -> Tensor<D> {
    let values: Vec<f64> = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0)).collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Every parameter random, biases and norms too: a bias of 0 would hide a bias that was left out.
struct Randomise<'a>(&'a mut ChaCha8Rng);

impl ModuleMapper for Randomise<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|old| random(old.dims(), self.0, &old.device()) * 0.5)
    }
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
            dropout: 0.0,
            drop_path: 0.0,
        },
    )
}

fn model(config: &VitConfig, rng: &mut ChaCha8Rng) -> Vit {
    Vit::init(config, &device()).unwrap().map(&mut Randomise(rng))
}

/// How a plan is drawn.
#[derive(Clone, Copy, Debug)]
enum Extreme {
    Everything,
    AnyShare(f64),
    OneUnit,
    HeadGone,
    BranchesGone,
    OneToken,
    Width,
}

fn extreme() -> impl Strategy<Value = Extreme> {
    prop_oneof![
        Just(Extreme::Everything),
        (0.05..0.95).prop_map(Extreme::AnyShare),
        Just(Extreme::OneUnit),
        Just(Extreme::HeadGone),
        Just(Extreme::BranchesGone),
        Just(Extreme::OneToken),
        Just(Extreme::Width),
    ]
}

fn draw_plan(dimensions: &[Dimension], extreme: Extreme, rng: &mut ChaCha8Rng) -> Plan {
    let mut plan = Plan::whole(dimensions);
    let mut left: Option<Vec<usize>> = None;
    for dimension in dimensions {
        let cut = plan.get_mut(&dimension.path).unwrap();
        let units = cut.units();
        let thin = |share: f64, at_least: usize, rng: &mut ChaCha8Rng| {
            let mut keep: Vec<usize> = (0..units).filter(|_| rng.random_bool(share)).collect();
            if keep.len() < at_least {
                keep = vec![rng.random_range(0..units)];
            }
            keep
        };
        match (extreme, dimension.name()) {
            (Extreme::Everything, _) => {}
            (Extreme::AnyShare(share), "width") => cut.keep = thin(share, 1, rng),
            (Extreme::AnyShare(share), _) => cut.keep = thin(share, 0, rng),
            (Extreme::OneUnit, "head_dim" | "hidden" | "width") => cut.keep = thin(0.0, 1, rng),
            (Extreme::HeadGone, "head_dim") => {
                let size = dimension.groups[0];
                let gone = rng.random_range(0..dimension.groups.len());
                cut.keep = (0..units).filter(|unit| unit / size != gone && rng.random_bool(0.8)).collect();
            }
            (Extreme::BranchesGone, "head_dim" | "hidden") if rng.random_bool(0.7) => cut.keep = vec![],
            (Extreme::OneToken, "tokens") => cut.keep = thin(0.0, 1, rng),
            (Extreme::Width, "width") => cut.keep = thin(0.6, 1, rng),
            _ => {}
        }
        if dimension.is_tokens() {
            if let Some(left) = &left {
                cut.keep.retain(|token| left.contains(token));
            }
            left = Some(cut.keep.clone());
        }
    }
    plan
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

fn relative_difference(a: &Vit, b: &Vit, images: &Tensor<4>) -> f64 {
    let (a, b) = (host(a.forward(images.clone()).class), host(b.forward(images.clone()).class));
    let scale = a.iter().fold(0.0_f64, |scale, value| scale.max(value.abs())).max(1e-3);
    let worst = a.iter().zip(&b).map(|(a, b)| (a - b).abs());
    worst.fold(0.0, |worst, d| if d.is_nan() { f64::INFINITY } else { f64::max(worst, d) }) / scale
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn hard_masked_equals_sliced(config in config(), extreme in extreme(), seed in any::<u64>()) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let model = model(&config, &mut rng);
        let dimensions = describe(&model).unwrap();
        let plan = draw_plan(&dimensions, extreme, &mut rng);
        let images = random([2, 1, config.image_size, config.image_size], &mut rng, &device());

        let sliced = model.slim(&plan).unwrap();
        let difference = relative_difference(&model.hard_mask(&plan).unwrap(), &sliced, &images);
        prop_assert!(difference < TOLERANCE, "differs by {difference:e}");
        prop_assert_eq!(sliced.num_params(), parameters(&config, &plan));

        let read_back: Plan = ron::from_str(&ron::to_string(&plan).unwrap()).unwrap();
        let again = model.slim(&read_back).unwrap();
        prop_assert_eq!(relative_difference(&sliced, &again, &images), 0.0);

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
        let difference = relative_difference(&masked, &folded.slim(&plan).unwrap(), &images);
        prop_assert!(difference < TOLERANCE, "differs by {difference:e}");

        if shares == [1.0; 4] {
            let whole = model.slim(&plan).unwrap();
            prop_assert_eq!(relative_difference(&model, &whole, &images), 0.0);
        }
    }
}

/// Path and values of every parameter.
#[derive(Default)]
struct Values {
    path: Vec<String>,
    found: Vec<(String, Vec<f64>)>,
}

impl ModuleVisitor for Values {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.found.push((self.path.join("."), host(param.val())));
    }
}

fn values(model: &Vit) -> Vec<(String, Vec<f64>)> {
    let mut values = Values::default();
    model.visit(&mut values);
    values.found
}

#[test]
fn after_slicing_one_training_step_changes_every_parameter() {
    let mut rng = ChaCha8Rng::seed_from_u64(7);
    let config = VitConfig {
        image_size: 6,
        patch_size: 2,
        channels: 1,
        classes: 4,
        dim: 12,
        depth: 2,
        heads: 3,
        ..VitConfig::default()
    };
    let training = device().autodiff();
    let model = model(&config, &mut rng).train();
    let mut plan = draw_plan(&describe(&model).unwrap(), Extreme::AnyShare(0.6), &mut rng);
    plan.get_mut("blocks.1.mlp.hidden").unwrap().keep = vec![1, 5];
    // A token that the first block cuts has a position that feeds nothing.
    plan.get_mut("blocks.0.tokens").unwrap().keep = (0..9).collect();
    let mut without_branch = plan.clone();
    without_branch.get_mut("blocks.1.mlp.hidden").unwrap().keep.clear();
    let masks: Vec<_> = describe(&model).unwrap().into_iter().map(|d| (d, MaskSpec::default())).collect();
    let masks = MaskSet::new(&masks, &training);
    // Of a branch that is gone, the norm before it feeds nothing; all else must still move.
    for (name, sliced, unmoved) in [
        ("trained before", model.slim(&plan).unwrap(), None),
        ("valid before", model.valid().slim(&plan).unwrap().train(), None),
        ("folded", model.fold(&masks).slim(&plan).unwrap(), None),
        ("folded while valid", model.valid().fold(&masks).slim(&plan).unwrap().train(), None),
        ("branch gone", model.slim(&without_branch).unwrap(), Some("blocks.1.norm2")),
    ] {
        let before = values(&sliced);
        let images = random([4, 1, 6, 6], &mut rng, &training);
        let labels = Tensor::<1, Int>::from_data(TensorData::from([0_i64, 1, 2, 3]), &training);
        let logits = sliced.forward(images).class;
        let loss = CrossEntropyLossConfig::new().init(&training).forward(logits, labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &sliced);
        let after = values(&AdamWConfig::new().with_weight_decay(0.0).init().step(1e-2, sliced, gradients));
        assert!(before.len() > 20);
        for ((path, before), (_, after)) in before.iter().zip(&after) {
            if unmoved.is_some_and(|unmoved| path.starts_with(unmoved)) {
                continue;
            }
            let moved = before.iter().zip(after).filter(|(a, b)| a != b).count();
            // A key's bias shifts all scores of a query alike, so that it has no gradient beyond rounding.
            let expected = if path.ends_with("qkv.bias") { before.len() / 2 } else { before.len() };
            assert!(moved >= expected, "{name}: {path}: {moved} of {} moved", before.len());
        }
    }
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
