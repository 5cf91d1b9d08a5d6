//! `vitslim check` finds wrong annotations that compile, and names dimension and layer; right ones pass. The float type is set
//! once a process, so this is a test binary of its own.

mod axes;
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

use vitslim_core::check::{ArchitectureCheck, TOLERANCE, check_architecture, f64_device};
use vitslim_core::data::ImageShape;
use vitslim_core::models::vit::{GlobalPool, MlpLayer};
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::report::ExperimentCheck;

use net::{checked, checked_part};

type Planted = (&'static str, fn() -> ArchitectureCheck, &'static [&'static str]);

/// What is wrong, and what the one reason has to say.
const PLANTED: &[Planted] = &[
    (
        "a producer missed",
        checked_part::<features::ProducerMissed>,
        &[
            "`blocks.0.hidden` (and 1 like it)",
            "`blocks.*.fc_gate.weight` and `blocks.*.fc_gate.bias` keep units that `hidden` removed",
            "is `blocks.*.fc_gate` annotated? Write `#[slim(output = [hidden])]`",
        ],
    ),
    (
        "a consumer missed",
        checked_part::<features::ConsumerMissed>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc3.weight` keeps units",
            "is `blocks.*.fc3` annotated? Write `#[slim(input = [hidden])]`",
        ],
    ),
    (
        "a bias that the mask leaves out",
        checked_part::<own_layer::OwnLayer<{ own_layer::UNSCALED }>>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc1.bias` still adds to units that `hidden` removed",
            "does `SlimLayer::scale` of this layer multiply it?",
        ],
    ),
    (
        "a bias that slicing leaves out",
        checked_part::<own_layer::OwnLayer<{ own_layer::UNCUT }>>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc1.bias` keeps units",
            "let `SlimLayer::select` of `blocks.*.fc1` cut `blocks.*.fc1.bias` too",
        ],
    ),
    (
        "a layer that is cut along another axis",
        checked_part::<own_layer::OwnLayer<{ own_layer::OTHER_AXIS }>>,
        &["the output of `blocks.0.fc1` cannot be cut by one unit", "does `SlimLayer::select` of this layer"],
    ),
    (
        "a layer whose values change when it is cut",
        checked_part::<own_layer::OwnLayer<{ own_layer::RESCALED }>>,
        &["`blocks.0.hidden`", "`blocks.*.fc1.weight`", "does `SlimLayer::scale` of this layer multiply it?"],
    ),
    (
        "a gate behind a norm",
        checked_part::<gates::GateBehindNorm>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc1.weight` still acts for units that `hidden` removed",
            "`gate` after the `output` of `blocks.*.fc1`",
        ],
    ),
    (
        "a gate before a norm only",
        checked_part::<gates::GateBeforeNorm>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.norm.beta` still adds to units that `hidden` removed",
            "`gate` after the `output` of `blocks.*.norm`",
        ],
    ),
    (
        "a gate before a sigmoid",
        checked_part::<gates::GateBeforeSigmoid>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc2.weight` still reads units that `hidden` removed",
            "`gate` after the `input` of `blocks.*.fc2`",
        ],
    ),
    (
        "factors exchanged",
        checked_part::<axes::FactorsExchanged>,
        &["`blocks.0.hidden`", "`output = [2, hidden]` on `blocks.*.fc1`"],
    ),
    (
        "factors of heads exchanged",
        checked_part::<axes::HeadsExchanged>,
        &["`blocks.0.head_dim`", "`output = [heads, head_dim, 3]` on `blocks.*.qkv`"],
    ),
    (
        "a name reused for another axis",
        checked_part::<features::NameReused>,
        &["`blocks.0.hidden`", "take `hidden` from the `output` of `blocks.*.skip`"],
    ),
    (
        "two gates missing behind squeeze-and-excitation",
        checked_part::<gates::TwoGatesMissing>,
        &[
            "`blocks.0.hidden`",
            "write `gate` after the `input` of `blocks.*.reduce`, where that is `hidden`; and write `gate` after the `input` of \
             `blocks.*.fc2`, where that is `hidden`: with that, the two agree",
        ],
    ),
    (
        "a gate on the wrong part of a tuple",
        checked_part::<gates::GateOnTheWrongPart>,
        &["`blocks.0.hidden`", "write `gate` after the `output` of `blocks.*.write.1`"],
    ),
    (
        "a dimension declared that should be borrowed, in two fields",
        checked_part::<features::NotBorrowed>,
        &[
            "`blocks.0.first.hidden` (and 1 like it): after slicing, layers do not fit each other",
            "the same is wrong with `blocks.0.second.hidden`",
            "`blocks.*.first.excite` declares a `hidden` of its own: with `#[slim(outer = [hidden])]` on its struct it borrows \
             `blocks.*.first.hidden`, and the two agree",
        ],
    ),
    (
        "a name shared, and one gate",
        checked_part::<gates::SharedWithoutGate>,
        &[
            "`blocks.0.hidden`",
            "`blocks.*.fc4.weight` still reads units",
            "`gate` after the `input` of `blocks.*.fc4`",
        ],
    ),
    (
        "the wrong consumer",
        checked_part::<features::WrongConsumer>,
        &[
            "`blocks.0.hidden`",
            "take `hidden` from the `input` of `blocks.*.fc3`",
            "is `blocks.*.fc2` annotated? Write `#[slim(input = [hidden], gate)]`",
        ],
    ),
    (
        "queries gated, values not",
        checked_part::<gates::OnlyQueriesGated>,
        &[
            "`blocks.0.head_dim`",
            "`blocks.*.v.bias` still adds to units that `head_dim` removed",
            "`gate` after the `output` of `blocks.*.v`",
        ],
    ),
    (
        "a parameter of which the first are taken",
        checked_part::<features::FirstTaken>,
        &["`blocks.0.hidden`", "is `blocks.*.slopes` annotated? Write `#[slim(axis(0) = [hidden])]`"],
    ),
    (
        "a branch that cannot be empty",
        checked_part::<axes::NeverEmpty>,
        &["`blocks.0.hidden`", "with all its units cut, the forward pass fails"],
    ),
    (
        "a branch that cannot be empty, beside another with hidden units",
        checked::<made::InTwoFields>,
        &["`first.hidden`", "with all its units cut, the forward pass fails"],
    ),
    (
        "a norm by hand",
        checked_part::<features::NormByHand>,
        &["`blocks.0.hidden`", "something between `blocks.*.fc1` and `blocks.*.fc2` counts them"],
    ),
    (
        "a branch that is not used",
        checked_part::<features::BranchUnused>,
        &["`blocks.*.hidden` never reaches the loss", "gated at `blocks.0.fc2`"],
    ),
    (
        "a branch without gradient",
        checked_part::<features::BranchDetached>,
        &["`blocks.*.hidden` never reaches the loss", "does nothing detach it"],
    ),
    (
        "a factor that does not divide",
        checked_part::<axes::Indivisible>,
        &[
            "the output of `blocks.0.fc1` cannot carry `blocks.0.hidden`: it has 8 features, not a multiple of the 3 per unit",
            "is a count in the axis too many, or the layer made too small?",
        ],
    ),
    (
        "sizes that disagree",
        checked_part::<axes::SizesDisagree>,
        &[
            "the output of `blocks.0.fc2` cannot carry `blocks.0.hidden`: it has 6 units there, but 8 at `blocks.0.fc1`",
            "if not, give one another name",
        ],
    ),
    (
        "a count that an axis leaves out",
        checked_part::<axes::CountForgotten>,
        &[
            "the input of `blocks.0.fc2` cannot carry `blocks.0.hidden`: it has 16 units there, but 8 at `blocks.0.fc1`: if each unit \
             has 2 features there, write that count too, as in `[2, hidden]`",
        ],
    ),
    (
        "queries, keys and values whose number an axis leaves out",
        checked_part::<axes::LayoutDisagrees<false>>,
        &[
            "it has 18 units there, but 6 in its layout: if each unit has 3 features there, write that count too, as in \
             `[3, heads, head_dim]`",
        ],
    ),
    (
        "a layout of other heads",
        checked_part::<axes::LayoutDisagrees<true>>,
        &[
            "it has 18 units there, but 8 in its layout: is its `HeadLayout` made for the heads and dims of this layer?",
        ],
    ),
    (
        "positions missed",
        checked::<width::PositionsMissed>,
        &[
            "`width`",
            "`positions` keeps units that `width` removed",
            "is `positions` annotated? Write `#[slim(axis(2) = [width], gate)]`",
        ],
    ),
    (
        "positions without gate",
        checked::<width::PositionsUngated>,
        &[
            "`width`",
            "`positions` still acts for units that `width` removed",
            "`gate` after the `axis(2)` of `positions`",
        ],
    ),
    (
        "a norm without gate",
        checked::<width::NormUngated>,
        &[
            "`width`",
            "`norm.beta` still adds to units that `width` removed",
            "`gate` after the `output` of `norm`",
        ],
    ),
    (
        "a norm missed",
        checked::<width::NormMissed>,
        &[
            "`width`",
            "`norm.gamma` and `norm.beta` keep units that `width` removed",
            "is `norm` annotated? Write `#[slim(output = [width], gate)]`",
        ],
    ),
    (
        "a token gate that removes nothing",
        checked_part::<tokens::KeepMissing>,
        &[
            "the token gate `blocks.0.tokens` (and 1 like it) removes no tokens: the forward pass never calls its `keep`",
        ],
    ),
    (
        "a token gate that scales nothing",
        checked_part::<tokens::ScaleMissing>,
        &["`blocks.*.tokens` never reaches the loss", "self.tokens.scale"],
    ),
    (
        "a token gate for fewer tokens",
        checked_part::<tokens::PrefixForgotten>,
        &["the token gate `blocks.0.tokens` is made for 3 tokens, but 4 arrive at it"],
    ),
    (
        "positions behind a token gate",
        checked_part::<tokens::PositionsTooLate>,
        &["tokens`", "axis 1 of `blocks.*.positions` keeps tokens that were cut"],
    ),
    (
        "a token gate that acts twice",
        checked_part::<tokens::KeptTwice>,
        &["calls `keep` of the token gate `blocks.0.tokens` (and 1 like it) 2 times"],
    ),
    (
        "positions behind the later of two token gates",
        checked::<tokens::LaterIsWrong>,
        &["`late.tokens`", "axis 1 of `late.positions` keeps tokens that were cut"],
    ),
    (
        "a gate before an activation in a second head",
        checked::<second_head::SecondHead>,
        &[
            "`hidden`",
            "`fc2.weight` still reads units that `hidden` removed",
            "`gate` after the `input` of `fc2`",
        ],
    ),
    (
        "blocks that are clones",
        checked::<made::Blocks<{ made::CLONED }>>,
        &[
            "`blocks.0.fc1.weight` and `blocks.1.fc1.weight` (and 3 more such pairs) are one parameter to burn",
            "make each block anew",
            "to tie weights, keep them in one field",
        ],
    ),
    (
        "a tensor of f32",
        checked::<made::Blocks<{ made::OF_F32 }>>,
        &["the network makes a tensor of f32 explicitly", "leave the float type out"],
    ),
    ("a branch times 0", checked_part::<made::ByZero<false>>, &["`blocks.*.hidden` never reaches the loss"]),
    (
        "a field called by another name",
        checked::<made::ByHand<{ made::MISNAMED }>>,
        &["calls `embed.weight` by the name `stem.weight`", "the name of the field"],
    ),
    (
        "how to train a field that there is not",
        checked::<made::ByHand<{ made::MISTREATED }>>,
        &["says how to train `embde`, and the network has no such field; did you mean `embed`?"],
    ),
    (
        "a scope that is not closed",
        checked::<made::ByHand<{ made::UNCLOSED }>>,
        &["the scope of `width` is never closed", "call `close` once for each `lend`"],
    ),
    (
        "a scope that is closed twice",
        checked::<made::ByHand<{ made::CLOSED_TWICE }>>,
        &["more scopes are closed, or fields left, than were opened"],
    ),
    (
        "a field that is not left",
        checked::<made::ByHand<{ made::NOT_LEFT }>>,
        &["the field `head` is entered and never left"],
    ),
    (
        "a gate missing where the width has another name",
        checked::<made::ByHand<{ made::UNGATED }>>,
        &["`width`", "write `gate` after the `input` of `head.fc`, where that is `former`"],
    ),
    (
        "a gate missing where a width is lent",
        checked::<lent::Ungated>,
        &["`stages.1.width`", "write `gate` after the `input` of `head.fc`, where that is `dim`"],
    ),
    (
        "a width borrowed from a stage that has none",
        checked::<lent::Astray>,
        &["`stages.0.widht` is borrowed, and `stages.0` declares only `width`"],
    ),
    (
        "side by side in another order",
        checked_part::<forms::ConcatenatedInOtherOrder>,
        &["`blocks.0.", "write `input = [a + 2 + b]` on `blocks.*.back`"],
    ),
    (
        "a feature short",
        checked_part::<forms::ConcatenatedShort>,
        &[
            "the input of `blocks.0.back` cannot carry `blocks.0.a + blocks.0.b`: it has 10 features, but its axis has 9, with 4 \
             units of `blocks.0.a` and 4 of `blocks.0.b`",
        ],
    ),
    (
        "a reader of what lies side by side missed",
        checked_part::<forms::ConcatenationMissed>,
        &["`blocks.0.a` (and 1 like it)", "Write `#[slim(input = [5 + a])]` on it"],
    ),
    (
        "head by head, annotated as side by side",
        checked_part::<forms::HeadsSideBySide>,
        &["write `output = [heads, qk + qk + v]` on `blocks.*.qkv`"],
    ),
    (
        "a count between heads and dims, annotated before them",
        checked_part::<forms::CountBefore>,
        &["write `output = [heads, 3, head_dim]` on `blocks.*.qkv`"],
    ),
    (
        "queries of all heads first",
        checked_part::<forms::QueriesBefore>,
        &["write `output = [heads, 2, head_dim]` on `blocks.*.q`"],
    ),
    (
        "a norm that heads share without a gate",
        checked_part::<forms::NormUngated>,
        &["`blocks.*.q_norm.beta` still adds", "write `gate` after the `output` of `blocks.*.q_norm`"],
    ),
    (
        "queries gated before a position is added",
        checked_part::<forms::QueriesGated>,
        &[
            "`blocks.*.positions` still acts",
            "write `gate` after the `axis(2)` of `blocks.*.positions`",
            "write `gate` after the `output` of `blocks.*.k`",
        ],
    ),
    (
        "pairs, annotated as halves",
        checked_part::<forms::Halves>,
        &["rot` (and 1 like it)", "write `output = [3, heads, rot, 2]` on `blocks.*.qkv`"],
    ),
    (
        "token gates in another order",
        checked::<tokens::OrderExchanged>,
        &["the token gate `early.tokens` acts before `late.tokens`, which is declared before it"],
    ),
];

#[test]
fn each_wrong_annotation_is_found_and_named() {
    let mut missed = Vec::new();
    for (what, check, expected) in PLANTED {
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

type Checked = fn() -> ArchitectureCheck;

#[test]
fn right_annotations_pass() {
    let sound: [(&str, Checked); 16] = [
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
