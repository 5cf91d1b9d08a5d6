//! MACs from the captured graph, against arithmetic, for dense and sliced networks.

use std::collections::BTreeMap;

use burn::tensor::Device;
use vitslim_core::data::ImageShape;
use vitslim_core::graph::{capture, macs, macs_of_graph};
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::slim::{MaskSet, MaskSpec, Plan, Slimmable, describe};

/// Matrix products and attention of one image. `A` of the formula are kept head dims, `m` kept hidden units.
fn by_arithmetic(config: &VitConfig, plan: &Plan) -> u64 {
    let kept = |path: String| plan.get(&path).unwrap().keep.len() as u64;
    let width = kept("width".into());
    let patches = (config.image_size / config.patch_size).pow(2) as u64;
    let patch = (config.channels * config.patch_size.pow(2)) as u64;
    let blocks: u64 = (0..config.depth)
        .map(|block| {
            let n = kept(format!("blocks.{block}.tokens")) + 1;
            let a = kept(format!("blocks.{block}.attn.head_dim"));
            let m = kept(format!("blocks.{block}.mlp.hidden"));
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

#[test]
fn dense_macs_of_the_presets() {
    for (name, config) in Vit::presets() {
        if name.contains("base") {
            continue;
        }
        let model = Vit::init(&config, &Device::flex()).unwrap();
        let whole = Plan::whole(&describe(&model).unwrap());
        assert_eq!(macs(&model, image(&config)).unwrap(), by_arithmetic(&config, &whole), "{name}");
    }
}

#[test]
fn the_batch_of_the_capture_does_not_matter() {
    let config = small();
    let model = Vit::init(&config, &Device::flex()).unwrap();
    let one = macs(&model, image(&config)).unwrap();
    for batch in [1, 2, 7] {
        let graph = capture(&model, image(&config), batch).unwrap();
        assert_eq!(macs_of_graph(&graph).unwrap(), batch as u64 * one);
    }
}

#[test]
fn sliced_macs_are_what_the_plan_leaves() {
    let config = small();
    let model = Vit::init(&config, &Device::flex()).unwrap();
    let mut plan = Plan::whole(&describe(&model).unwrap());
    let cuts: [(&str, &[usize]); 6] = [
        ("width", &[0, 3, 4, 9]),
        ("blocks.0.attn.head_dim", &[0, 4, 5, 8, 9, 11]),
        ("blocks.0.mlp.hidden", &[7]),
        ("blocks.1.tokens", &[5]),
        // One head is left, and one branch is gone.
        ("blocks.1.attn.head_dim", &[6, 7]),
        ("blocks.1.mlp.hidden", &[]),
    ];
    for (path, keep) in cuts {
        plan.get_mut(path).unwrap().keep = keep.to_vec();
        let sliced = model.slim(&plan).unwrap();
        assert_eq!(macs(&sliced, image(&config)).unwrap(), by_arithmetic(&config, &plan), "{path}");
    }
    assert_eq!(model.slim(&plan).unwrap().blocks[0].attn.heads.sizes, [3, 2, 1]);
}

/// Kinds of operations of a forward pass, with their number.
fn operations(model: &Vit, config: &VitConfig) -> BTreeMap<String, usize> {
    let captured = capture(model, image(config), 1).unwrap();
    let mut kinds = BTreeMap::new();
    for operation in &captured.graph.operations {
        let described = format!("{operation:?}");
        let (kind, _) = described.split_once('{').unwrap_or((&described, ""));
        *kinds.entry(kind.to_owned()).or_insert(0) += 1;
    }
    kinds
}

#[test]
fn no_mask_is_left_in_a_sliced_network() {
    let config = small();
    let model = Vit::init(&config, &Device::flex()).unwrap();
    let dimensions = describe(&model).unwrap();
    let mut plan = Plan::whole(&dimensions);
    for dimension in dimensions.iter().filter(|d| ["head_dim", "hidden"].contains(&d.name())) {
        let cut = plan.get_mut(&dimension.path).unwrap();
        cut.keep.retain(|unit| unit % 2 == 0);
    }
    let sliced = model.slim(&plan).unwrap();
    let dense = operations(&model, &config);
    assert_eq!(operations(&sliced, &config), dense);

    // Where a mask does multiply in the forward pass, the count shows it.
    let tokens = dimensions.into_iter().filter(|d| d.is_tokens());
    let masks: Vec<_> = tokens.map(|dimension| (dimension, MaskSpec::default())).collect();
    let masks = MaskSet::new(&masks, &Device::flex());
    assert_ne!(operations(&model.gate(&masks), &config), dense);
}
