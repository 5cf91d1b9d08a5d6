//! MACs from the recorded graph against arithmetic, for dense and sliced networks.

use std::collections::BTreeMap;

use burn::module::Module;
use burn::tensor::Device;

use super::check::{Check, Checked};
use super::comparison::Comparison;
use super::configs::{small_convnext, small_swin};
use super::failure::Failure;
use super::slicing::cut_at;
use crate::data::ImageShape;
use crate::graph::{capture, macs, macs_of_graph};
use crate::models::{Architecture, ConvNext, ConvNextConfig, Swin, SwinConfig, Vit, VitConfig};
use crate::slim::{MaskSet, MaskSpec, Plan, Slimmable, describe};

pub(super) const CHECKS: &[Check] = &[
    Check { name: "presets", run: presets },
    Check { name: "batch", run: batch },
    Check { name: "sliced", run: sliced },
    Check { name: "no_mask_is_left", run: no_mask_is_left },
    Check { name: "swin", run: swin },
    Check { name: "convnext", run: convnext },
];

/// Matrix products and attention for one image; `a` is the number of kept head dims, `m` that of kept hidden units.
fn by_arithmetic(config: &VitConfig, plan: &Plan) -> u64 {
    let kept = |path: &str| plan.get(path).map_or(0, |cut| cut.keep.len() as u64);
    let width = kept("width");
    let patches = (config.image_size / config.patch_size).pow(2) as u64;
    let patch = (config.channels * config.patch_size.pow(2)) as u64;
    let blocks: u64 = (0..config.depth)
        .map(|block| {
            let n = kept(&format!("blocks.{block}.tokens")) + 1 + config.reg_tokens as u64;
            let a = kept(&format!("blocks.{block}.attn.head_dim"));
            let m = kept(&format!("blocks.{block}.mlp.hidden"));
            n * width * 3 * a + 2 * n * n * a + n * a * width + 2 * n * width * m
        })
        .sum();
    patches * patch * width + blocks + width * config.classes as u64
}

fn image(config: &VitConfig) -> ImageShape {
    ImageShape { channels: config.channels, size: config.image_size }
}

fn small() -> VitConfig {
    VitConfig {
        image_size: 8,
        patch_size: 2,
        channels: 1,
        classes: 1,
        dim: 12,
        depth: 2,
        heads: 3,
        ..VitConfig::default()
    }
}

fn presets(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for (name, config) in Vit::presets().iter().filter(|(name, _)| !name.contains("base")) {
        let model = Vit::init(config, device)?;
        let whole = Plan::whole(&describe(&model)?);
        comparison.equal(name, &macs(&model, image(config))?, &by_arithmetic(config, &whole));
    }
    comparison.finish()
}

/// The batch size of the recording only multiplies the count.
fn batch(device: &Device) -> Checked {
    let config = small();
    let model = Vit::init(&config, device)?;
    let one = macs(&model, image(&config))?;
    let mut comparison = Comparison::default();
    for batch in [1, 2, 7] {
        let graph = capture(&model, image(&config), batch)?;
        comparison.equal(&format!("batch {batch}"), &macs_of_graph(&graph)?, &(batch as u64 * one));
    }
    comparison.finish()
}

/// After slicing, they are those of what the plan leaves.
fn sliced(device: &Device) -> Checked {
    let config = small();
    let model = Vit::init(&config, device)?;
    let mut plan = Plan::whole(&describe(&model)?);
    let cuts: [(&str, &[usize]); 6] = [
        ("width", &[0, 3, 4, 9]),
        ("blocks.0.attn.head_dim", &[0, 4, 5, 8, 9, 11]),
        ("blocks.0.mlp.hidden", &[7]),
        ("blocks.1.tokens", &[5]),
        // One head is left, and one branch is empty.
        ("blocks.1.attn.head_dim", &[6, 7]),
        ("blocks.1.mlp.hidden", &[]),
    ];
    let mut comparison = Comparison::default();
    for (path, keep) in cuts {
        cut_at(&mut plan, path)?.keep = keep.to_vec();
        let found = macs(&model.slim(&plan)?, image(&config))?;
        comparison.equal(path, &found, &by_arithmetic(&config, &plan));
    }
    comparison.equal("heads", &model.slim(&plan)?.blocks[0].attn.heads.sizes, &vec![3, 2, 1]);
    comparison.finish()
}

/// The kinds of operations of a forward pass, and the number of each.
fn operations(model: &Vit, config: &VitConfig) -> Result<BTreeMap<String, usize>, Failure> {
    let captured = capture(model, image(config), 1)?;
    let mut kinds = BTreeMap::new();
    for operation in &captured.graph.operations {
        let described = format!("{operation:?}");
        let (kind, _) = described.split_once('{').unwrap_or((&described, ""));
        *kinds.entry(kind.to_owned()).or_insert(0) += 1;
    }
    Ok(kinds)
}

/// A sliced network has exactly the operations of the dense one.
fn no_mask_is_left(device: &Device) -> Checked {
    let config = small();
    let model = Vit::init(&config, device)?;
    let dimensions = describe(&model)?;
    let mut plan = Plan::whole(&dimensions);
    for (dimension, cut) in dimensions.iter().zip(&mut plan.cuts) {
        if ["head_dim", "hidden"].contains(&dimension.name()) {
            cut.keep.retain(|unit| unit % 2 == 0);
        }
    }
    let mut comparison = Comparison::default();
    let dense = operations(&model, &config)?;
    comparison.equal("operations", &operations(&model.slim(&plan)?, &config)?, &dense);

    // A mask that multiplies in the forward pass does show in the count.
    let tokens = dimensions.into_iter().filter(|d| d.is_tokens());
    let masks: Vec<_> = tokens.map(|dimension| (dimension, MaskSpec::default())).collect();
    let gated = model.gate(&MaskSet::new(&masks, device));
    let gated = operations(&gated, &config)?;
    let products = gated.iter().filter(|(kind, _)| kind.contains(" Mul(")).map(|(_, count)| count).sum();
    comparison.equal("products with token masks", &products, &(2 * config.depth));
    comparison.finish()
}

/// Swin-T has the MACs of the paper, and a small Swin those of what a plan leaves.
fn swin(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    let (_, tiny) = Swin::presets().swap_remove(0);
    let model = Swin::init(&tiny, device)?;
    let whole = Plan::whole(&describe(&model)?);
    let found = macs(&model, ImageShape { channels: 3, size: 224 })?;
    comparison.equal("Swin-T", &found, &swin_by_arithmetic(&tiny, &whole));
    comparison.equal("G of Swin-T", &format!("{:.1}", found as f64 / 1e9), &"4.5".to_owned());
    comparison.equal("parameters of Swin-T", &model.num_params(), &28_288_354);

    let cuts: [(&str, &[usize]); 6] = [
        ("layers.0.width", &[0, 3, 4]),
        ("layers.1.width", &[1, 2, 3, 7, 11]),
        // One head is left, then none.
        ("layers.0.blocks.0.attn.head_dim", &[3, 5]),
        ("layers.0.blocks.1.attn.head_dim", &[]),
        ("layers.1.blocks.0.attn.head_dim", &[0, 1, 4, 9]),
        ("layers.1.blocks.0.mlp.hidden", &[7]),
    ];
    let small = small_swin();
    let by_arithmetic = |plan: &Plan| swin_by_arithmetic(&small, plan);
    after_each_cut(&Swin::init(&small, device)?, &cuts, by_arithmetic, &mut comparison)?;
    comparison.finish()
}

/// Compares the multiply-adds of `model`, for images of 8 x 8, with those of `by_arithmetic` after each cut.
fn after_each_cut<A: Architecture>(
    model: &A,
    cuts: &[(&str, &[usize])],
    by_arithmetic: impl Fn(&Plan) -> u64,
    comparison: &mut Comparison,
) -> Result<(), Failure> {
    let mut plan = Plan::whole(&describe(model)?);
    for (path, keep) in cuts {
        cut_at(&mut plan, path)?.keep = keep.to_vec();
        let found = macs(&model.slim(&plan)?, ImageShape { channels: 1, size: 8 })?;
        comparison.equal(path, &found, &by_arithmetic(&plan));
    }
    Ok(())
}

/// Matrix products and attention for one image.
fn swin_by_arithmetic(config: &SwinConfig, plan: &Plan) -> u64 {
    let kept = |path: String| plan.get(&path).map_or(0, |cut| cut.keep.len() as u64);
    let width = |stage: usize| kept(format!("layers.{stage}.width"));
    let patch = (config.channels * config.patch_size.pow(2)) as u64;
    let mut side = config.image_size / config.patch_size;
    let mut total = (side * side) as u64 * patch * width(0);
    for (stage, &depth) in config.depths.iter().enumerate() {
        if stage > 0 {
            side /= 2;
            total += (side * side) as u64 * 4 * width(stage - 1) * width(stage);
        }
        let (n, window) = ((side * side) as u64, config.window.min(side).pow(2) as u64);
        for block in 0..depth {
            let a = kept(format!("layers.{stage}.blocks.{block}.attn.head_dim"));
            let m = kept(format!("layers.{stage}.blocks.{block}.mlp.hidden"));
            total += n * width(stage) * (4 * a + 2 * m) + 2 * n * window * a;
        }
    }
    total + width(config.depths.len() - 1) * config.classes as u64
}

/// ConvNeXt-T has the MACs of the paper, and a small ConvNeXt those of what a plan leaves.
fn convnext(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    let (_, tiny) = ConvNext::presets().swap_remove(0);
    let model = ConvNext::init(&tiny, device)?;
    let whole = Plan::whole(&describe(&model)?);
    let found = macs(&model, ImageShape { channels: 3, size: 224 })?;
    comparison.equal("ConvNeXt-T", &found, &convnext_by_arithmetic(&tiny, &whole));
    comparison.equal("G of ConvNeXt-T", &format!("{:.1}", found as f64 / 1e9), &"4.5".to_owned());
    comparison.equal("parameters of ConvNeXt-T", &model.num_params(), &28_589_128);

    let cuts: [(&str, &[usize]); 4] = [
        ("stages.0.width", &[0, 3, 4]),
        ("stages.1.width", &[1, 2, 3, 5, 7]),
        ("stages.0.blocks.1.mlp.hidden", &[]),
        ("stages.1.blocks.0.mlp.hidden", &[7, 9]),
    ];
    let small = small_convnext();
    let by_arithmetic = |plan: &Plan| convnext_by_arithmetic(&small, plan);
    after_each_cut(&ConvNext::init(&small, device)?, &cuts, by_arithmetic, &mut comparison)?;
    comparison.finish()
}

/// Matrix products and convolutions for one image.
fn convnext_by_arithmetic(config: &ConvNextConfig, plan: &Plan) -> u64 {
    let kept = |path: String| plan.get(&path).map_or(0, |cut| cut.keep.len() as u64);
    let width = |stage: usize| kept(format!("stages.{stage}.width"));
    let kernel = config.kernel_size.pow(2) as u64;
    let mut side = config.image_size / config.patch_size;
    let mut total = (side * side * config.channels * config.patch_size.pow(2)) as u64 * width(0);
    for (stage, &depth) in config.depths.iter().enumerate() {
        if stage > 0 {
            side /= 2;
            total += (side * side) as u64 * 4 * width(stage - 1) * width(stage);
        }
        for block in 0..depth {
            let hidden = kept(format!("stages.{stage}.blocks.{block}.mlp.hidden"));
            total += (side * side) as u64 * width(stage) * (kernel + 2 * hidden);
        }
    }
    total + width(config.depths.len() - 1) * config.classes as u64
}
