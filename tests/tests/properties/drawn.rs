//! Configurations and plans, as they are drawn.

use proptest::prelude::*;
use vitslim_core::models::vit::{GlobalPool, MlpLayer, Pairing, RopeConfig};
use vitslim_core::models::{ConvNextConfig, SwinConfig, VitConfig};
use vitslim_core::selftest::slicing::PlanKind;

use super::forms;
use super::hybrid::Sizes;

pub(super) fn config() -> impl Strategy<Value = VitConfig> {
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
pub(super) fn published_config() -> impl Strategy<Value = VitConfig> {
    let pools = prop_oneof![
        Just((true, GlobalPool::Token)),
        Just((true, GlobalPool::Avg)),
        Just((false, GlobalPool::Avg))
    ];
    let layers = prop_oneof![Just(MlpLayer::Mlp), Just(MlpLayer::SwiGLUPacked)];
    let parts = (pools, layers, attention());
    (config(), parts, 0..=2_usize, any::<Option<bool>>(), any::<[bool; 7]>()).prop_map(
        |(
            config,
            ((class_token, global_pool), mlp_layer, (qk_dim, v_dim, rope)),
            reg_tokens,
            fc_norm,
            chosen,
        )| {
            let [qk_norm, proj_bias, scaled, pos_embed, no_embed_class, pre_norm, final_norm] = chosen;
            VitConfig {
                mlp_ratio: 2.0,
                mlp_layer,
                qk_dim,
                v_dim,
                rope,
                qk_norm,
                proj_bias,
                init_values: scaled.then_some(1.0),
                class_token,
                reg_tokens,
                pos_embed,
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

/// With attention of any kind.
pub(super) fn distilled_config() -> impl Strategy<Value = VitConfig> {
    (config(), attention()).prop_map(|(config, (qk_dim, v_dim, rope))| VitConfig {
        qk_dim,
        v_dim,
        rope,
        ..config
    })
}

/// Dims of queries and keys and of values, if they are their own, and how they are turned.
fn attention() -> impl Strategy<Value = (Option<usize>, Option<usize>, Option<RopeConfig>)> {
    let pairing = prop_oneof![Just(Pairing::Halves), Just(Pairing::Neighbours)];
    let rope = pairing.prop_map(|pairing| Some(RopeConfig { pairing, ..RopeConfig::default() }));
    let v_dim = || prop::option::of(1..=4_usize);
    prop_oneof![
        Just((None, None, None)),
        (prop::option::of(1..=5_usize), v_dim()).prop_map(|(qk_dim, v_dim)| (qk_dim, v_dim, None)),
        (1..=2_usize, v_dim(), rope).prop_map(|(quads, v_dim, rope)| (Some(4 * quads), v_dim, rope)),
    ]
}

/// One to three stages, whose last has one to four windows or is smaller than one.
pub(super) fn swin_config() -> impl Strategy<Value = SwinConfig> {
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
pub(super) fn convnext_config() -> impl Strategy<Value = ConvNextConfig> {
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
pub(super) fn hybrid_sizes() -> impl Strategy<Value = Sizes> {
    let stages = prop::collection::vec((1..=5_usize, 1..=2_usize), 1..=3);
    (stages, 1..=5_usize, [1..=3_usize, 1..=3_usize])
}

/// Sizes of which some agree by chance.
pub(super) fn form_sizes() -> impl Strategy<Value = forms::Sizes> {
    prop::array::uniform6(1..=3_usize)
}

pub(super) fn kind() -> impl Strategy<Value = PlanKind> {
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
