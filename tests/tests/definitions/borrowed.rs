//! Dimensions that are borrowed by another name than the one they are declared by.

use vitslim_core::prelude::*;
use vitslim_core::slim::{Dimension, DimensionError, describe};

/// Borrows `width`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
pub struct Scale {
    #[slim(axis(0) = [width], gate)]
    scale: Param<Tensor<1>>,
}

/// Borrows a grouped dimension, and its groups alone.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads, head_dim])]
pub struct Heads {
    #[slim(axis(0) = [heads], axis(1) = [heads, head_dim], gate)]
    bias: Param<Tensor<2>>,
}

/// Two widths, each lent as `width`; nothing but nested fields has the second.
#[derive(Module, Debug, Slimmable)]
pub struct Named {
    #[slim(axis(0) = [width0], gate)]
    stem: Param<Tensor<1>>,
    #[slim(width = width0)]
    stage0: [Scale; 2],
    #[slim(width = r#type)]
    stage1: Scale,
    #[slim(width = r#type)]
    stage2: Option<Scale>,
}

/// A `width` lent as `width`, where the enclosing struct has another of that name.
#[derive(Module, Debug, Slimmable)]
pub struct Shadowed {
    #[slim(axis(0) = [width], gate)]
    own: Param<Tensor<1>>,
    #[slim(width = other)]
    lent: Scale,
    #[slim]
    borrowed: Scale,
    #[slim(axis(0) = [other])]
    after: Param<Tensor<1>>,
}

/// Declares for its nested fields what it has no axis of.
#[derive(Module, Debug, Slimmable)]
#[slim(own = [width])]
pub struct Stage {
    #[slim]
    before: Option<Former>,
    #[slim]
    scales: Vec<Scale>,
}

/// Borrows the width of the stage before.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [former])]
pub struct Former {
    #[slim(axis(0) = [former], gate)]
    scale: Param<Tensor<1>>,
}

/// A list of stages; `stem` and `read` have the widths of some of them.
#[derive(Module, Debug, Slimmable)]
pub struct Stages {
    #[slim(axis(0) = [stages.first.width])]
    stem: Param<Tensor<1>>,
    #[slim(former = before.width)]
    stages: Vec<Stage>,
    #[slim(axis(0) = [2, stages.last.width], axis(1) = [stages.1.width])]
    read: Param<Tensor<2>>,
    #[slim(width = last.width)]
    after: Scale,
    #[slim]
    last: Stage,
}

/// As `Stages`, of which the first has `own` before it.
#[derive(Module, Debug, Slimmable)]
pub struct AfterStem {
    #[slim(axis(0) = [own], gate)]
    stem: Param<Tensor<1>>,
    #[slim(former = before.width or own)]
    stages: [Stage; 2],
}

/// Lends on, to two levels, what it borrows; nothing declares `unknown`.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [groups, units, unknown])]
pub struct Middle {
    #[slim(heads = groups, head_dim = units)]
    heads: Heads,
    #[slim(width = unknown)]
    scale: Scale,
}

/// Declares a grouped dimension.
#[derive(Module, Debug, Slimmable)]
pub struct Grouped {
    #[slim(layout = [h, d])]
    layout: HeadLayout,
    #[slim(groups = h, units = d)]
    middle: Middle,
    #[slim(heads = h, head_dim = d)]
    direct: Heads,
    #[slim(axis(0) = [width], gate)]
    width: Param<Tensor<1>>,
}

/// A path that leads to nothing, which the derive cannot see.
#[derive(Module, Debug, Slimmable)]
pub struct Astray {
    #[slim(width = stage.widht)]
    scale: Scale,
    #[slim]
    stage: Stage,
}

/// Declares a grouped dimension to be borrowed.
#[derive(Module, Debug, Slimmable)]
pub struct Attention {
    #[slim(layout = [heads, head_dim])]
    layout: HeadLayout,
    #[slim(axis(0) = [heads, head_dim], gate)]
    scale: Param<Tensor<1>>,
}

/// Borrows a grouped dimension from a field, behind which it stands.
#[derive(Module, Debug, Slimmable)]
pub struct Behind {
    #[slim]
    attention: Attention,
    #[slim(heads = attention.heads, head_dim = attention.head_dim)]
    bias: Heads,
    #[slim(axis(0) = [attention.heads, attention.head_dim])]
    scale: Param<Tensor<1>>,
}

/// Borrows one from a field before which it stands.
#[derive(Module, Debug, Slimmable)]
pub struct InFront {
    #[slim(heads = attention.heads, head_dim = attention.head_dim)]
    bias: Heads,
    #[slim]
    attention: Attention,
}

fn param<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::ones(shape, &Device::flex()))
}

fn scale(size: usize) -> Scale {
    Scale { scale: param([size]) }
}

fn stage(size: usize, former: Option<usize>) -> Stage {
    Stage {
        before: former.map(|former| Former { scale: param([former]) }),
        scales: vec![scale(size), scale(size)],
    }
}

/// Each dimension with its units and carriers.
fn told(dimensions: Vec<Dimension>) -> Vec<String> {
    let one = |dimension: Dimension| {
        let carriers: Vec<_> = dimension.carriers.iter().map(|carrier| carrier.layer.as_str()).collect();
        format!("{} {}: {}", dimension.path, dimension.units(), carriers.join(" "))
    };
    dimensions.into_iter().map(one).collect()
}

#[test]
fn a_name_of_this_struct_is_borrowed_by_another() {
    let named =
        Named { stem: param([2]), stage0: [scale(2), scale(2)], stage1: scale(3), stage2: Some(scale(3)) };
    assert_eq!(
        told(describe(&named).unwrap()),
        ["width0 2: stem stage0.0.scale stage0.1.scale", "type 3: stage1.scale stage2.scale",]
    );
    let shadowed = Shadowed { own: param([2]), lent: scale(3), borrowed: scale(2), after: param([3]) };
    assert_eq!(
        told(describe(&shadowed).unwrap()),
        ["width 2: own borrowed.scale", "other 3: lent.scale after"]
    );
}

#[test]
fn the_elements_of_a_list_borrow_from_each_other() {
    let stages = Stages {
        stem: param([2]),
        stages: vec![stage(2, None), stage(3, Some(2)), stage(4, Some(3))],
        read: param([8, 3]),
        after: scale(5),
        last: stage(5, None),
    };
    assert_eq!(
        told(describe(&stages).unwrap()),
        [
            "stages.0.width 2: stem stages.0.scales.0.scale stages.0.scales.1.scale stages.1.before.scale",
            "stages.1.width 3: stages.1.scales.0.scale stages.1.scales.1.scale stages.2.before.scale read",
            "stages.2.width 4: stages.2.scales.0.scale stages.2.scales.1.scale read",
            "last.width 5: after.scale last.scales.0.scale last.scales.1.scale",
        ]
    );
    let after = AfterStem { stem: param([7]), stages: [stage(2, Some(7)), stage(3, Some(2))] };
    assert_eq!(
        told(describe(&after).unwrap()),
        [
            "own 7: stem stages.0.before.scale",
            "stages.0.width 2: stages.0.scales.0.scale stages.0.scales.1.scale stages.1.before.scale",
            "stages.1.width 3: stages.1.scales.0.scale stages.1.scales.1.scale",
        ]
    );
}

#[test]
fn a_grouped_dimension_is_lent_through_several_levels() {
    let heads = || Heads { bias: param([2, 6]) };
    let grouped = Grouped {
        layout: HeadLayout::new(2, 3),
        middle: Middle { heads: heads(), scale: scale(4) },
        direct: heads(),
        width: param([5]),
    };
    // What is lent and declared by nobody is not what has its name by chance.
    assert_eq!(told(describe(&grouped).unwrap()), ["d 6: middle.heads.bias direct.bias", "width 5: width"]);
    let behind = Behind {
        attention: Attention { layout: HeadLayout::new(2, 3), scale: param([6]) },
        bias: heads(),
        scale: param([6]),
    };
    assert_eq!(told(describe(&behind).unwrap()), ["attention.head_dim 6: attention.scale bias.bias scale"]);
}

#[test]
fn what_leads_nowhere_is_an_error() {
    let astray = Astray { scale: scale(3), stage: stage(3, None) };
    let error = describe(&astray).unwrap_err();
    assert_eq!(
        error,
        DimensionError::Astray { path: "stage.widht".to_owned(), declared: vec!["width".to_owned()] }
    );
    assert_eq!(error.to_string(), "`stage.widht` is borrowed, and `stage` declares only `width`");

    let first = AfterStem { stem: param([7]), stages: [stage(2, None), stage(3, Some(2))] };
    assert!(describe(&first).is_ok());
    let in_front = InFront {
        bias: Heads { bias: param([2, 6]) },
        attention: Attention { layout: HeadLayout::new(2, 3), scale: param([6]) },
    };
    let error = describe(&in_front).unwrap_err();
    assert!(
        error.to_string().starts_with("`attention.heads` is borrowed by a layer before its layout"),
        "{error}"
    );
}
