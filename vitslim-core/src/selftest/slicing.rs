//! Hard-masked and sliced networks are the same function, for random architectures and plans, and a sliced network trains.
//!
//! The checks are in f32; vitslim's own tests draw many more cases with the same functions in f64.

use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{AdamWConfig, GradientsParams};
use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::check::{Check, Checked, rounds};
use super::comparison::{Comparison, host};
use super::configs;
use super::failure::Failure;
use super::parameter_values::parameter_values;
use super::tolerance::{Products, tolerance};
use crate::models::{Architecture, ConvNext, DistilledVit, Swin, Vit, VitConfig, random_model};
use crate::nn::TokenSizes;
use crate::slim::{
    Cut, CutTokens, Dimension, MaskSet, MaskSpec, NormStatistics, Plan, Slimmable, describe, keep_a_token,
    settle,
};
use crate::values::{self, random};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "ragged_heads", run: |device| masked_equals_sliced(device, PlanKind::Ragged, 1e-5) },
    Check { name: "one_unit", run: |device| masked_equals_sliced(device, PlanKind::OneUnit, 1e-5) },
    Check { name: "empty_heads", run: |device| masked_equals_sliced(device, PlanKind::HeadGone, 1e-5) },
    Check {
        name: "empty_branches",
        run: |device| masked_equals_sliced(device, PlanKind::BranchesGone, 1e-5),
    },
    Check { name: "tokens", run: |device| tokens_are_cut(device, PlanKind::Tokens) },
    Check { name: "one_token", run: |device| tokens_are_cut(device, PlanKind::OneToken) },
    // A norm over a sliced width adds in another order.
    Check { name: "width", run: |device| masked_equals_sliced(device, PlanKind::Width, 1e-4) },
    Check { name: "everything", run: |device| masked_equals_sliced(device, PlanKind::AnyShare(0.6), 1e-4) },
    Check { name: "trains_after_slicing", run: trains_after_slicing },
    Check {
        name: "published_vits",
        run: |device| {
            masked_equals_sliced_of::<Vit>(device, configs::published_vit, PlanKind::AnyShare(0.6), 1e-4)
        },
    },
    Check { name: "published_vit_trains_after_slicing", run: published_vit_trains_after_slicing },
    Check {
        name: "deit_distilled",
        run: |device| {
            masked_equals_sliced_of::<DistilledVit>(device, configs::vit, PlanKind::AnyShare(0.6), 1e-4)
        },
    },
    Check {
        name: "swin",
        run: |device| masked_equals_sliced_of::<Swin>(device, configs::swin, PlanKind::AnyShare(0.6), 1e-4),
    },
    Check { name: "swin_trains_after_slicing", run: swin_trains_after_slicing },
    Check {
        name: "convnext",
        run: |device| {
            masked_equals_sliced_of::<ConvNext>(device, configs::convnext, PlanKind::AnyShare(0.6), 1e-4)
        },
    },
    Check { name: "convnext_trains_after_slicing", run: convnext_trains_after_slicing },
];

const ROUNDS: u64 = 30;

/// How to draw a plan.
#[derive(Clone, Copy, Debug)]
pub enum PlanKind {
    /// Keeps everything.
    Whole,
    /// Keeps about this share of each dimension, possibly nothing.
    AnyShare(f64),
    /// Keeps some dims of each head and some hidden units.
    Ragged,
    /// Keeps one unit of each dimension except tokens.
    OneUnit,
    /// Cuts one whole head of each block.
    HeadGone,
    /// Cuts most branches entirely.
    BranchesGone,
    /// Keeps some tokens.
    Tokens,
    /// Keeps one token beside the class token.
    OneToken,
    /// Keeps some of the embedding width.
    Width,
}

/// A random plan for a network with `dimensions`.
pub fn draw_plan(dimensions: &[Dimension], kind: PlanKind, rng: &mut ChaCha8Rng) -> Plan {
    let mut plan = Plan::whole(dimensions);
    for (dimension, cut) in dimensions.iter().zip(&mut plan.cuts) {
        let units = cut.units();
        let thin = |share: f64, at_least: usize, rng: &mut ChaCha8Rng| {
            let keep: Vec<usize> = (0..units).filter(|_| rng.random_bool(share)).collect();
            if keep.len() < at_least.min(units) { vec![rng.random_range(0..units)] } else { keep }
        };
        let name = match dimension.name() {
            "qk_dim" | "qk_pair" | "v_dim" => "head_dim",
            name => name,
        };
        match (kind, name) {
            (PlanKind::AnyShare(share), "width") => cut.keep = thin(share, 1, rng),
            (PlanKind::AnyShare(share), _) => cut.keep = thin(share, 0, rng),
            (PlanKind::Ragged, "head_dim" | "hidden") => cut.keep = thin(0.6, 1, rng),
            (PlanKind::OneUnit, "head_dim" | "hidden" | "width") => cut.keep = thin(0.0, 1, rng),
            (PlanKind::HeadGone, "head_dim") if units > 0 => {
                let gone = rng.random_range(0..dimension.groups.len());
                let start: usize = dimension.groups[..gone].iter().sum();
                let gone = start..start + dimension.groups[gone];
                cut.keep = (0..units).filter(|unit| !gone.contains(unit) && rng.random_bool(0.8)).collect();
            }
            (PlanKind::BranchesGone, "head_dim" | "hidden") if rng.random_bool(0.5) => cut.keep = vec![],
            (PlanKind::BranchesGone, _) if dimension.is_branch() && rng.random_bool(0.3) => cut.keep = vec![],
            (PlanKind::Tokens, "tokens") => cut.keep = thin(0.7, 0, rng),
            (PlanKind::OneToken, "tokens") => cut.keep = thin(0.0, 1, rng),
            (PlanKind::Width, "width") => cut.keep = thin(0.6, 1, rng),
            _ => {}
        }
    }
    if rng.random_bool(0.5) {
        plan.norm = NormStatistics::Sliced;
    }
    // Among tokens of few features, two may be as similar to a third, and the last bit would say which it is.
    let is_wide = dimensions
        .iter()
        .zip(&plan.cuts)
        .all(|(dimension, cut)| dimension.name() != "width" || cut.keep.len() > 4);
    if rng.random_bool(0.5) && is_wide {
        plan.tokens = CutTokens::Merge;
    }
    settle(&mut plan, dimensions);
    keep_a_token(&mut plan, dimensions);
    plan
}

/// Largest difference between the logits of `a` and `b`, over the largest logit of `a`.
///
/// # Errors
///
/// When the device fails.
pub fn relative_difference<A: Architecture>(a: &A, b: &A, images: &Tensor<4>) -> Result<f64, Failure> {
    let logits = |model: &A| host(model.forward(images.clone()).mean());
    Ok(values::relative_difference(&logits(a)?, &logits(b)?))
}

/// A network, a plan for it, and images.
fn draw_case<A: Architecture>(
    seed: u64,
    config: fn(&mut ChaCha8Rng) -> (A::Config, usize),
    kind: PlanKind,
    device: &Device,
) -> Result<(A, Plan, Tensor<4>), Failure> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let (config, image_size) = config(&mut rng);
    let model: A = random_model(&config, &mut rng, device)?;
    let plan = draw_plan(&describe(&model)?, kind, &mut rng);
    let images = random([4, 1, image_size, image_size], &mut rng, device);
    Ok((model, plan, images))
}

fn masked_equals_sliced(device: &Device, kind: PlanKind, on_cpu: f64) -> Checked {
    masked_equals_sliced_of::<Vit>(device, configs::vit, kind, on_cpu)
}

fn masked_equals_sliced_of<A: Architecture>(
    device: &Device,
    config: fn(&mut ChaCha8Rng) -> (A::Config, usize),
    kind: PlanKind,
    on_cpu: f64,
) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let (model, plan, images) = draw_case::<A>(round, config, kind, device)?;
        let plan = plan.dropping();
        let (masked, sliced) = (model.hard_mask(&plan)?, model.slim(&plan)?);
        let difference = relative_difference(&masked, &sliced, &images)?;
        comparison.within(format!("plan {round}"), difference, tolerance(device, on_cpu, Products::Network));
        let adds = Module::num_params(&sliced) > Module::num_params(&model);
        comparison.holds(!adds, "slicing adds parameters");
    }
    comparison.finish()
}

/// Masking cannot express a cut token, so the sliced network is compared with one whose blocks get only the tokens that are
/// left.
fn tokens_are_cut(device: &Device, kind: PlanKind) -> Checked {
    let mut comparison = Comparison::default();
    for round in 0..rounds(device, ROUNDS) {
        let (model, plan, images) = draw_case::<Vit>(round, configs::vit, kind, device)?;
        let plan = plan.dropping();
        let sliced = host(model.slim(&plan)?.forward(images.clone()).class)?;
        let expected = host(with_tokens_left(&model, &plan, images))?;
        let tolerance = tolerance(device, 1e-5, Products::Network);
        comparison.close_for_its_size(&format!("plan {round}"), &sliced, &expected, tolerance);
    }
    comparison.finish()
}

/// The logits of a dense model whose blocks get only the tokens that `plan` leaves.
fn with_tokens_left(model: &Vit, plan: &Plan, images: Tensor<4>) -> Tensor<2> {
    let mut x = model.embed(images);
    // The class token is the first.
    let mut there: Vec<usize> = (0..x.dims()[1] - 1).collect();
    let gates = plan.cuts.iter().filter(|cut| cut.dimension.ends_with("tokens"));
    for (block, gate) in model.blocks.iter().zip(gates) {
        let stay = |token: &usize| gate.keep.contains(token);
        let patches = (1..).zip(&there).filter(|(_, token)| stay(token)).map(|(position, _)| position);
        let positions: Vec<usize> = std::iter::once(0).chain(patches).collect();
        let tokens = positions.into_iter().map(|position| x.clone().narrow(1, position, 1));
        x = block.forward(Tensor::cat(tokens.collect(), 1), &mut TokenSizes::default());
        there.retain(stay);
    }
    model.classify(x, &TokenSizes::default())
}

/// After slicing, however it was done, one training step changes every parameter.
///
/// # Errors
///
/// When a parameter does not change.
pub fn trains_after_slicing(device: &Device) -> Checked {
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
    let training = device.clone().autodiff();
    let model = random_model::<Vit>(&config, &mut rng, device)?.train();
    let dimensions = describe(&model)?;
    let (branches, others): (Vec<Dimension>, _) =
        dimensions.iter().cloned().partition(|dimension| dimension.is_branch());
    let mut plan = draw_plan(&others, PlanKind::AnyShare(0.6), &mut rng);
    plan.cuts.extend(Plan::whole(&branches).cuts);
    let (mut without_units, mut without_branch) = (plan.clone(), plan.clone());
    cut_at(&mut without_branch, "blocks.1.mlp_branch")?.keep.clear();
    let cuts = [(&mut plan, vec![1, 5]), (&mut without_units, vec![]), (&mut without_branch, vec![])];
    for (plan, hidden) in cuts {
        for cut in &mut plan.cuts {
            match cut.dimension.as_str() {
                "blocks.1.mlp.hidden" => cut.keep.clone_from(&hidden),
                // The position of a token that the first block cuts would get no gradient.
                "blocks.0.tokens" => cut.keep = (0..9).collect(),
                _ => {}
            }
        }
    }
    let masks: Vec<_> = dimensions.into_iter().map(|d| (d, MaskSpec::default())).collect();
    let masks = MaskSet::new(&masks, &training);
    let mut comparison = Comparison::default();
    // The norm before an empty branch gets no gradient; all else must still change.
    for (case, sliced, unmoved) in [
        ("trained before", model.slim(&plan)?, None),
        ("valid before", model.valid().slim(&plan)?.train(), None),
        ("folded", model.fold(&masks).slim(&plan)?, None),
        ("folded while valid", model.valid().fold(&masks).slim(&plan)?.train(), None),
        ("units gone", model.slim(&without_units)?, Some("blocks.1.norm2")),
        ("branch gone", model.slim(&without_branch)?, None),
    ] {
        let images = random([4, 1, 6, 6], &mut rng, &training);
        every_parameter_moves(case, sliced, images, unmoved, &mut comparison)?;
    }
    comparison.finish()
}

/// The cut of the dimension at `path`.
pub(super) fn cut_at<'a>(plan: &'a mut Plan, path: &str) -> Result<&'a mut Cut, Failure> {
    plan.get_mut(path).ok_or_else(|| Failure::new(format!("there is no `{path}`")))
}

fn published_vit_trains_after_slicing(device: &Device) -> Checked {
    let cuts: [(&str, &[usize]); 2] = [("width", &[0, 3, 4]), ("blocks.1.attn.head_dim", &[3, 5])];
    trains_whole_and_cut::<Vit>(&configs::small_published_vit(), &cuts, device)
}

fn swin_trains_after_slicing(device: &Device) -> Checked {
    let cuts: [(&str, &[usize]); 4] = [
        ("layers.0.width", &[0, 3, 4]),
        ("layers.1.width", &[1, 2, 3, 7, 8]),
        // One of two heads is gone, and three have different sizes.
        ("layers.0.blocks.1.attn.head_dim", &[3, 5]),
        ("layers.1.blocks.0.attn.head_dim", &[0, 4, 5, 8, 9, 10]),
    ];
    trains_whole_and_cut::<Swin>(&configs::small_swin(), &cuts, device)
}

fn convnext_trains_after_slicing(device: &Device) -> Checked {
    let cuts: [(&str, &[usize]); 2] = [("stages.0.width", &[0, 3, 4]), ("stages.1.width", &[1, 2, 3, 7])];
    trains_whole_and_cut::<ConvNext>(&configs::small_convnext(), &cuts, device)
}

/// Checks that every parameter changes in a model for images of 8 x 8, and in the same model with `cuts` and random cuts of
/// its branches.
fn trains_whole_and_cut<A: Architecture>(
    config: &A::Config,
    cuts: &[(&str, &[usize])],
    device: &Device,
) -> Checked {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let model = random_model::<A>(config, &mut rng, device)?.train();
    let mut plan = draw_plan(&describe(&model)?, PlanKind::Ragged, &mut rng);
    for (path, keep) in cuts {
        cut_at(&mut plan, path)?.keep = keep.to_vec();
    }
    let images = random([4, 1, 8, 8], &mut rng, &device.clone().autodiff());
    let mut comparison = Comparison::default();
    for (case, sliced) in [("whole", model.clone()), ("sliced", model.slim(&plan)?)] {
        every_parameter_moves(case, sliced, images.clone(), None, &mut comparison)?;
    }
    comparison.finish()
}

/// Checks that a training step on four `images` changes every parameter except those whose path starts with `unmoved`.
fn every_parameter_moves<A: Architecture>(
    case: &str,
    model: A,
    images: Tensor<4>,
    unmoved: Option<&str>,
    comparison: &mut Comparison,
) -> Result<(), Failure> {
    let before = parameter_values(&model)?;
    let after = parameter_values(&step(model, images))?;
    comparison.holds(before.len() > 20, format!("{case}: only {} parameters", before.len()));
    for ((path, before), (_, after)) in before.iter().zip(&after) {
        if unmoved.is_some_and(|unmoved| path.starts_with(unmoved)) {
            continue;
        }
        let moved = before.iter().zip(after).filter(|(a, b)| a != b && b.is_finite()).count();
        // The bias of keys shifts all scores of a query equally, so its gradient is only rounding.
        let expected = match path {
            path if path.ends_with("qkv.bias") => before.len() / 2,
            path if path.ends_with("k_norm.beta") => 0,
            _ => before.len(),
        };
        comparison.holds(moved >= expected, format!("{case}: {path}: {moved} of {} moved", before.len()));
    }
    Ok(())
}

fn step<A: Architecture>(model: A, images: Tensor<4>) -> A {
    let device = &images.device();
    let labels = Tensor::<1, Int>::from_data(TensorData::from([0_i64, 1, 2, 3]), device);
    let logits = model.forward(images).class;
    let loss = CrossEntropyLossConfig::new().init(device).forward(logits, labels);
    let gradients = GradientsParams::from_grads(loss.backward(), &model);
    AdamWConfig::new().with_weight_decay(0.0).init().step(1e-2, model, gradients)
}
