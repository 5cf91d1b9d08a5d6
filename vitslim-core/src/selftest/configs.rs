//! Small configurations of the architectures.

use rand::RngExt;
use rand::seq::IndexedRandom;
use rand_chacha::ChaCha8Rng;

use crate::models::vit::{GlobalPool, MlpLayer, Pairing, RopeConfig};
use crate::models::{ConvNextConfig, SwinConfig, VitConfig};

/// A random configuration of a ViT, and the size of its images, which have one channel.
pub(super) fn vit(rng: &mut ChaCha8Rng) -> (VitConfig, usize) {
    let heads = rng.random_range(2..=3);
    let image_size = 2 * rng.random_range(2..=3);
    let config = VitConfig {
        image_size,
        patch_size: 2,
        channels: 1,
        classes: 5,
        dim: heads * rng.random_range(3..=8),
        depth: rng.random_range(2..=3),
        heads,
        mlp_ratio: 1.7,
        qkv_bias: rng.random(),
        ..VitConfig::default()
    };
    (config, image_size)
}

/// The same for a ViT with what published ones have.
pub(super) fn published_vit(rng: &mut ChaCha8Rng) -> (VitConfig, usize) {
    let (config, image_size) = vit(rng);
    let class_token = rng.random();
    let pairing = *[None, Some(Pairing::Halves), Some(Pairing::Neighbours)].choose(rng).unwrap_or(&None);
    let qk_dim = match pairing {
        Some(_) => Some(4 * rng.random_range(1..=2)),
        None => rng.random::<bool>().then(|| rng.random_range(1..=5)),
    };
    let config = VitConfig {
        qk_dim,
        rope: pairing.map(|pairing| RopeConfig { pairing, ..RopeConfig::default() }),
        pos_embed: rng.random(),
        mlp_ratio: 2.0,
        mlp_layer: if rng.random() { MlpLayer::SwiGLUPacked } else { MlpLayer::Mlp },
        qk_norm: rng.random(),
        proj_bias: rng.random(),
        init_values: rng.random::<bool>().then_some(1.0),
        class_token,
        reg_tokens: rng.random_range(0..=2),
        no_embed_class: rng.random(),
        pre_norm: rng.random(),
        global_pool: if class_token && rng.random() { GlobalPool::Token } else { GlobalPool::Avg },
        fc_norm: rng.random::<bool>().then(|| rng.random()),
        ..config
    };
    (config, image_size)
}

/// The same for a Swin Transformer: the first stage has several windows, shifted in its second block, and the last stage has
/// one.
pub(super) fn swin(rng: &mut ChaCha8Rng) -> (SwinConfig, usize) {
    let (stages, window) = (rng.random_range(2..=3), rng.random_range(2..=3));
    let image_size = window << (stages - 1);
    let heads = rng.random_range(2..=3);
    let config = SwinConfig {
        image_size,
        patch_size: 1,
        channels: 1,
        classes: 5,
        dim: heads * rng.random_range(3..=5),
        depths: (0..stages).map(|stage| if stage == 0 { 2 } else { rng.random_range(1..=2) }).collect(),
        heads: vec![heads; stages],
        window,
        mlp_ratio: 1.7,
        qkv_bias: rng.random(),
        dropout: 0.0,
        drop_path: 0.0,
    };
    (config, image_size)
}

/// The same for a ConvNeXt, whose stages may become narrower or wider.
pub(super) fn convnext(rng: &mut ChaCha8Rng) -> (ConvNextConfig, usize) {
    let (stages, patch_size) = (rng.random_range(2..=3), rng.random_range(1..=2));
    let image_size = patch_size << (stages - 1);
    let config = ConvNextConfig {
        image_size,
        patch_size,
        channels: 1,
        classes: 5,
        dims: (0..stages).map(|_| rng.random_range(3..=12)).collect(),
        depths: (0..stages).map(|_| rng.random_range(1..=2)).collect(),
        kernel_size: if rng.random() { 3 } else { 5 },
        mlp_ratio: 1.7,
        ..ConvNextConfig::default()
    };
    (config, image_size)
}

/// A ViT with all that published ones have.
pub(super) fn small_published_vit() -> VitConfig {
    VitConfig {
        image_size: 8,
        patch_size: 4,
        channels: 1,
        classes: 4,
        dim: 6,
        depth: 2,
        heads: 2,
        mlp_layer: MlpLayer::SwiGLUPacked,
        qk_norm: true,
        init_values: Some(1.0),
        reg_tokens: 2,
        no_embed_class: true,
        pre_norm: true,
        global_pool: GlobalPool::Avg,
        ..VitConfig::default()
    }
}

/// A Swin with four windows in its first stage, shifted in its second block, and one in the other.
pub(super) fn small_swin() -> SwinConfig {
    SwinConfig {
        image_size: 8,
        patch_size: 1,
        channels: 1,
        classes: 4,
        dim: 6,
        depths: vec![2, 1],
        heads: vec![2, 3],
        window: 4,
        ..SwinConfig::default()
    }
}

/// A ConvNeXt with two stages, both at least as large as the kernel.
pub(super) fn small_convnext() -> ConvNextConfig {
    ConvNextConfig {
        image_size: 8,
        patch_size: 2,
        channels: 1,
        classes: 4,
        dims: vec![6, 8],
        depths: vec![2, 1],
        kernel_size: 3,
        ..ConvNextConfig::default()
    }
}
