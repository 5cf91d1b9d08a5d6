//! `vitslim check` finds wrong annotations that compile, and names dimension and layer; right ones pass. The float type is set
//! once a process, so this is a test binary of its own.

mod axes;
mod branches;
mod features;
mod forms;
mod gates;
mod lent;
mod made;
mod net;
mod own_layer;
mod second_head;
mod sound;
mod tokens;
mod width;

use vitslim_core::check::{TOLERANCE, check_architecture, f64_device};
use vitslim_core::data::ImageShape;
use vitslim_core::models::vit::{GlobalPool, MlpLayer};
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::report::ExperimentCheck;

use net::{Checked, Planted, checked, checked_part};

/// The wrong annotations of each file.
const PLANTED: [&[Planted]; 11] = [
    axes::PLANTED,
    branches::PLANTED,
    features::PLANTED,
    forms::PLANTED,
    gates::PLANTED,
    lent::PLANTED,
    made::PLANTED,
    own_layer::PLANTED,
    second_head::PLANTED,
    tokens::PLANTED,
    width::PLANTED,
];

#[test]
fn each_wrong_annotation_is_found_and_named() {
    let mut missed = Vec::new();
    for (what, check, expected) in PLANTED.into_iter().flatten() {
        let reasons = check().reasons;
        let told: Vec<String> = reasons
            .iter()
            .map(|reason| format!("{}\n    help: {}", reason.message, reason.help.as_deref().unwrap_or("-")))
            .collect();
        let told = told.join("\n  ");
        println!("{what}:\n  {told}");
        let is_named = expected.iter().all(|part| told.contains(part));
        if !is_named || reasons.len() != 1 {
            missed.push(format!("{what}: {expected:?} is not in, or not alone in\n  {told}"));
        }
    }
    assert!(missed.is_empty(), "{}", missed.join("\n"));
}

#[test]
fn right_annotations_pass() {
    let sound: [(&str, Checked); 18] = [
        ("a branch", checked_part::<branches::Branch<{ branches::SOUND }>>),
        ("branches of branches", checked_part::<branches::Parallel>),
        ("a block called twice", checked::<made::Blocks<{ made::CALLED_TWICE }>>),
        ("a scale that starts at 0", checked_part::<made::ByZero<true>>),
        ("widths lent", checked::<lent::Sound>),
        ("by hand", checked::<made::ByHand<{ made::SOUND }>>),
        ("three carriers", checked_part::<sound::Gated>),
        ("parallel branches", checked_part::<sound::Parallel>),
        ("side by side", checked_part::<sound::SideBySide>),
        ("tokens", checked_part::<sound::Tokens>),
        ("other norms", checked_part::<sound::OtherNorms>),
        ("width", checked::<width::Sound>),
        ("sums", checked_part::<forms::Concatenated>),
        ("head by head", checked_part::<forms::HeadByHead>),
        ("a count between", checked_part::<forms::CountBetween>),
        ("grouped queries", checked_part::<forms::Grouped>),
        ("contracted by hand", checked_part::<forms::KeysGated>),
        ("pairs", checked_part::<forms::Pairs>),
    ];
    for (what, check) in sound {
        let found = check();
        assert!(found.reasons.is_empty(), "{what}: {:#?}", found.reasons);
        assert!(found.plans > 10 && found.gradients, "{what}");
        let idle: &[&str] = if what.ends_with("starts at 0") { &["blocks.*.hidden"] } else { &[] };
        assert_eq!(found.idle, idle, "{what}");
        assert!(
            found.largest_difference < 1e-12 && TOLERANCE <= 1e-9,
            "{what}: {:e}",
            found.largest_difference
        );
        assert!(found.dimensions.iter().all(|dimension| dimension.macs_per_unit.is_some()), "{what}");
    }
    assert!(checked::<lent::Sound>().unborrowed.is_empty());
    let unborrowed = checked::<lent::Unborrowed>();
    assert_eq!(unborrowed.unborrowed, ["stages.fromer"]);
    assert_eq!(unborrowed.undeclared, ["stages.0.former", "stages.1.former"]);
    let undeclared = checked_part::<sound::Tokens>().undeclared;
    assert_eq!(undeclared, ["blocks.0.width", "blocks.1.width"]);
    let told = ExperimentCheck { undeclared, ..ExperimentCheck::default() }.table().replace("\n  ", " ");
    assert!(
        told.contains(
            "blocks.0.width (and 1 like it) is borrowed, but no enclosing struct declares it: it is not prunable. If"
        ),
        "{told}"
    );
    assert!(told.contains("write there `#[slim(width = its_name)]`"), "{told}");
}

#[test]
fn what_published_vits_have_passes() {
    let usual = VitConfig {
        image_size: 8,
        patch_size: 4,
        channels: 1,
        classes: 3,
        dim: 8,
        depth: 2,
        heads: 2,
        ..VitConfig::default()
    };
    type Change = fn(&mut VitConfig);
    let changes: [(&str, Change); 9] = [
        ("nothing", |_| {}),
        ("norms of queries and keys", |c| c.qk_norm = true),
        ("layer scale", |c| c.init_values = Some(1e-5)),
        ("registers", |c| c.reg_tokens = 2),
        ("positions of patches", |c| (c.reg_tokens, c.no_embed_class) = (2, true)),
        ("SwiGLU", |c| c.mlp_layer = MlpLayer::SwiGLUPacked),
        ("norms around the blocks", |c| (c.pre_norm, c.fc_norm) = (true, Some(true))),
        ("the mean", |c| c.global_pool = GlobalPool::Avg),
        ("no class token and no bias", |c| {
            (c.class_token, c.global_pool, c.qkv_bias, c.proj_bias) = (false, GlobalPool::Avg, false, false);
        }),
    ];
    for (what, change) in changes {
        let mut config = usual.clone();
        change(&mut config);
        let model = Vit::init(&config, &f64_device().unwrap()).unwrap();
        let found = check_architecture(&model, ImageShape { channels: 1, size: 8 }, Some(3));
        assert!(found.reasons.is_empty(), "{what}: {:#?}", found.reasons);
        assert!(found.plans > 10 && found.gradients && found.idle.is_empty(), "{what}");
        assert!(found.largest_difference < 1e-12, "{what}: {:e}", found.largest_difference);
    }
}

#[test]
fn images_and_classes_that_do_not_fit_are_told() {
    let model = <net::Net<sound::Gated> as Architecture>::init(&(), &f64_device().unwrap()).unwrap();
    let told = |size: usize, classes: usize| {
        let found = check_architecture(&model, ImageShape { channels: 1, size }, Some(classes));
        found.reasons.into_iter().map(|reason| reason.message).collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told(4, 3), "");
    assert_eq!(told(4, 4), "the network has 3 classes, but the data have 4");
    assert!(told(5, 3).starts_with("the network does not take images of 1 x 5 x 5"), "{}", told(5, 3));
}
