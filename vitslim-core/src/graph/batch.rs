//! What is counted of an image is the same in a batch of any size, also where a size of the network is one.

use burn::tensor::Device;

use super::{capture, macs, macs_of_graph};
use crate::data::ImageShape;
use crate::models::vit::GlobalPool;
use crate::models::{Architecture, ConvNext, Swin, Vit, VitConfig};
use crate::slim::{Plan, describe};

/// How much of each dimension is kept: all, half, and one unit, which leaves one head.
const KEPT: [fn(usize) -> usize; 3] = [|units| units, |units| units.div_ceil(2), |units| units.min(1)];

/// What is counted of the network of `config`, whole and cut, each with its plan; in batches of one, two and seven it is the same.
fn counted<A: Architecture>(config: &A::Config, image: ImageShape) -> Vec<(Plan, u64)> {
    let model = A::init(config, &Device::flex()).unwrap();
    let cut = KEPT.map(|keep| {
        let mut plan = Plan::whole(&describe(&model).unwrap());
        plan.cuts.iter_mut().for_each(|cut| cut.keep.truncate(keep(cut.keep.len())));
        let sliced = model.slim(&plan).unwrap();
        let macs = macs(&sliced, image).unwrap();
        for batch in [1, 2, 7] {
            let of_batch = macs_of_graph(&capture(&sliced, image, batch).unwrap()).unwrap();
            assert_eq!(of_batch, batch as u64 * macs, "a batch of {batch}");
        }
        (plan, macs)
    });
    cut.into()
}

/// Multiply-adds of what `plan` leaves of a Vision Transformer of `config`, by arithmetic.
fn arithmetic(config: &VitConfig, plan: &Plan) -> u64 {
    let kept = |path: &str| plan.get(path).unwrap().keep.len();
    let dim = kept("width");
    let patches = (config.image_size / config.patch_size).pow(2);
    let embedding = patches * config.channels * config.patch_size.pow(2) * dim;
    let block = |block: usize| {
        let [features, hidden] =
            ["attn.head_dim", "mlp.hidden"].map(|d| kept(&format!("blocks.{block}.{d}")));
        let tokens = usize::from(config.class_token) + kept(&format!("blocks.{block}.tokens"));
        tokens * dim * 4 * features + 2 * tokens * tokens * features + 2 * tokens * dim * hidden
    };
    (embedding + (0..config.depth).map(block).sum::<usize>() + dim * config.classes) as u64
}

#[test]
fn a_vit_of_any_sizes_has_the_multiply_adds_of_its_plan_in_any_batch() {
    let usual = VitConfig {
        image_size: 8,
        patch_size: 4,
        dim: 6,
        depth: 2,
        heads: 2,
        classes: 3,
        ..VitConfig::default()
    };
    let one_token =
        VitConfig { class_token: false, global_pool: GlobalPool::Avg, image_size: 4, ..usual.clone() };
    for config in [
        VitConfig { channels: 1, ..usual.clone() },
        VitConfig { classes: 1, ..usual.clone() },
        VitConfig { heads: 1, ..usual.clone() },
        VitConfig { classes: 1, channels: 1, ..one_token.clone() },
        one_token,
        usual,
    ] {
        let image = ImageShape { channels: config.channels, size: config.image_size };
        for (plan, macs) in counted::<Vit>(&config, image) {
            assert_eq!(macs, arithmetic(&config, &plan), "{config:?}");
        }
    }
}

#[test]
fn other_networks_are_counted_alike_in_any_batch() {
    for channels in [1, 3] {
        let image = ImageShape { channels, size: 8 };
        let swin = format!(
            "(image_size: 8, patch_size: 2, channels: {channels}, classes: 1, dim: 4, depths: [2, 1], heads: [2, 1], window: 2)"
        );
        counted::<Swin>(&ron::from_str(&swin).unwrap(), image);
        let convnext = format!(
            "(image_size: 8, patch_size: 2, channels: {channels}, classes: 1, dims: [4, 6], depths: [1, 1])"
        );
        counted::<ConvNext>(&ron::from_str(&convnext).unwrap(), image);
    }
}
