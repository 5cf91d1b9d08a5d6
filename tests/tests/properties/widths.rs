//! The widths of stages are cut, each to a share of its own.

use burn::tensor::Tensor;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use vitslim_core::models::{Architecture, ConvNext, ConvNextConfig, Swin, SwinConfig, random_model};
use vitslim_core::slim::{MaskSet, MaskSpec, Plan, Ranking, describe, rank};
use vitslim_core::values::random;

use super::{TOLERANCE, device, difference};

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
