//! Axes of several dimensions side by side, counts between groups and units, and dimensions that only a product reads.

use vitslim_core::prelude::*;
use vitslim_core::slim::{DimensionError, Plan, describe};

/// Every form of a sum.
#[derive(Module, Debug, Slimmable)]
pub struct Sums<const N: usize> {
    #[slim(axis(0) = [a], gate)]
    one: Param<Tensor<1>>,
    #[slim(axis(0) = [heads, 2, rot])]
    turned: Param<Tensor<1>>,
    #[slim(axis(0) = [a + b + 4])]
    features: Param<Tensor<1>>,
    #[slim(axis(0) = [(N, a) + (b, copies) + a, 2], gate)]
    products: Param<Tensor<1>>,
    #[slim(axis(0) = [(heads, 3, 2, rot) + (heads, 2)], gate, axis(1) = [heads, 1 + (2, rot)])]
    of_heads: Param<Tensor<2>>,
    #[slim(layout = [heads, 2, rot])]
    heads: HeadLayout,
    copies: usize,
}

/// Whose dimensions the enclosing struct has.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads, qk, v, width])]
pub struct Borrowed {
    #[slim(output = [heads, qk + qk + v], gate)]
    qkv: Linear,
    #[slim(input = [width + 2 + (heads, 2, v)])]
    head: Linear,
}

/// Lends them, by other names, and reads what a stage declares.
#[derive(Module, Debug, Slimmable)]
pub struct Lending {
    #[slim(layout = [groups, keys, values])]
    layout: HeadLayout,
    #[slim(output = [values0], gate)]
    embed: Linear,
    #[slim(heads = groups, qk = keys, v = values, width = values0)]
    inner: Borrowed,
    #[slim(input = [values0 + (groups, values)])]
    out: Linear,
}

/// Of which a network declares only one: the sizes of the others are told by the norms.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width, other, third])]
pub struct Reader {
    #[slim(input = [other + width + third])]
    fc: Linear,
    #[slim(output = [other])]
    norm: LayerNorm,
    #[slim(output = [third])]
    third_norm: LayerNorm,
}

/// Declares one of them.
#[derive(Module, Debug, Slimmable)]
#[slim(own = [width])]
pub struct OnlyOne {
    #[slim(output = [width], gate)]
    embed: Linear,
    #[slim]
    reader: Reader,
}

/// Reads the widths of two fields and that of the last stage.
#[derive(Module, Debug, Slimmable)]
pub struct MultiScale {
    #[slim(output = [width1], gate)]
    scale1: Linear,
    #[slim(output = [width2], gate)]
    scale2: Linear,
    #[slim]
    stages: Vec<Stage>,
    #[slim(input = [width1 + width2 + stages.last.width])]
    head: Linear,
}

/// Declares its width.
#[derive(Module, Debug, Slimmable)]
pub struct Stage {
    #[slim(output = [width], gate)]
    fc1: Linear,
    #[slim(input = [width])]
    fc2: Linear,
}

/// A product that a layer of the author's own computes.
#[derive(Module, Debug, Slimmable)]
#[slim(contracted = [rank])]
pub struct LowRank {
    #[slim(output = [rank], gate)]
    left: Linear,
    #[slim(output = [rank])]
    right: Linear,
}

/// Nothing tells how many features are of either.
#[derive(Module, Debug, Slimmable)]
struct Unsized {
    #[slim(output = [a + b], gate)]
    fc1: Linear,
    #[slim(input = [a + b])]
    fc2: Linear,
}

#[test]
fn a_head_reads_several_scales() {
    let stage = |width| Stage { fc1: linear(2, width), fc2: linear(width, 2) };
    let model = MultiScale {
        scale1: linear(2, 3),
        scale2: linear(2, 4),
        stages: vec![stage(5), stage(6)],
        head: linear(3 + 4 + 6, 2),
    };
    let mut plan = Plan::whole(&describe(&model).expect("sizes that agree"));
    plan.get_mut("stages.0.width").expect("its width").keep = vec![0];
    plan.get_mut("stages.1.width").expect("its width").keep = vec![1, 2];
    plan.get_mut("width2").expect("a width").keep = vec![3];
    assert_eq!(model.slim(&plan).expect("a plan for it").head.weight.dims(), [3 + 1 + 2, 2]);
}

#[test]
fn what_nobody_declares_stays() {
    let norm = |width| LayerNormConfig::new(width).init(&Device::flex());
    let reader = || Reader { fc: linear(2 + 3 + 4, 5), norm: norm(2), third_norm: norm(4) };
    assert!(described(&reader()).is_empty());
    let model = OnlyOne { embed: linear(6, 3), reader: reader() };
    assert_eq!(described(&model), [("width".into(), vec![3], vec![1, 1])]);
    let mut plan = Plan::whole(&describe(&model).expect("sizes that agree"));
    plan.cuts[0].keep = vec![0, 2];
    let cut = model.slim(&plan).expect("a plan for it");
    assert_eq!(cut.reader.fc.weight.dims(), [2 + 2 + 4, 5]);
    let row = |model: &OnlyOne, row| model.reader.fc.weight.val().narrow(0, row, 1).into_data();
    row(&cut, 3).assert_eq(&row(&model, 4), true);
}

fn ones<const D: usize>(shape: [usize; D]) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::ones(shape, &Device::flex()))
}

fn linear(inputs: usize, outputs: usize) -> Linear {
    LinearConfig::new(inputs, outputs).init(&Device::flex())
}

fn described<M: Slimmable>(model: &M) -> Vec<(String, Vec<usize>, Vec<usize>)> {
    let dimensions = describe(model).expect("sizes that agree").into_iter();
    dimensions
        .map(|dimension| {
            let carriers = dimension.carriers.iter();
            (dimension.path.clone(), dimension.groups, carriers.map(|c| c.features_per_unit).collect())
        })
        .collect()
}

#[test]
fn features_of_a_unit_add_up() {
    let sums = Sums::<3> {
        one: ones([5]),
        turned: ones([8]),
        features: ones([5 + 7 + 4]),
        products: ones([2 * (3 * 5 + 7 * 2 + 5)]),
        of_heads: ones([3 * 2 * 4 + 2 * 2, 2 + 2 * 4]),
        heads: HeadLayout::new(2, 4),
        copies: 2,
    };
    let expected = [
        ("rot".into(), vec![2, 2], vec![2, 6, 2]),
        ("a".into(), vec![5], vec![1, 1, 8]),
        ("b".into(), vec![7], vec![1, 4]),
    ];
    assert_eq!(described(&sums), expected);
}

#[test]
fn borrowed_dimensions_stand_in_sums_too() {
    let lending = Lending {
        layout: HeadLayout::new(2, 3).with_values(5),
        embed: linear(4, 6),
        inner: Borrowed { qkv: linear(6, 22), head: linear(6 + 2 + 20, 3) },
        out: linear(16, 3),
    };
    let expected = [
        ("keys".into(), vec![3, 3], vec![2]),
        ("values".into(), vec![5, 5], vec![1, 2, 1]),
        ("values0".into(), vec![6], vec![1, 1, 1]),
    ];
    assert_eq!(described(&lending), expected);

    // Nobody declares what is borrowed, so that nothing is prunable.
    assert!(described(&lending.inner).is_empty());
    let low_rank = LowRank { left: linear(3, 2), right: linear(4, 2) };
    assert_eq!(described(&low_rank), [("rank".into(), vec![2], vec![1, 1])]);
}

#[test]
fn sizes_that_do_not_add_up_are_told() {
    let sums = |features: usize| {
        let sums = Sums::<1> { features: ones([features]), ..same() };
        describe(&sums).err().map(|error| error.to_string())
    };
    assert_eq!(sums(16), None);
    let told = sums(17).expect("other sizes");
    assert!(told.contains("the axis(0) of `products` cannot carry `a + b`: it has 48 features"), "{told}");

    let error = describe(&Unsized { fc1: linear(2, 5), fc2: linear(5, 2) }).expect_err("no sizes");
    assert_eq!(error, DimensionError::Unsized { layer: "fc1".into(), dimension: "a".into() });
    assert!(error.to_string().contains("a layer is needed that has `a` alone"), "{error}");

    let layout = HeadLayout::new(2, 3).with_values(5);
    let wrong = Sums::<1> { heads: layout, ..same() };
    let told = describe(&wrong).expect_err("two dimensions").to_string();
    assert!(told.contains("name both, as in `layout = [heads, qk, v]`"), "{told}");
    let wrong = Sums::<1> { heads: HeadLayout::new(2, 3), ..same() };
    let told = describe(&wrong).expect_err("not a multiple").to_string();
    assert!(told.contains("it has heads of 3 dims, which the counts of its layout do not divide"), "{told}");
}

fn same() -> Sums<1> {
    Sums {
        one: ones([5]),
        turned: ones([8]),
        features: ones([16]),
        products: ones([48]),
        of_heads: ones([28, 10]),
        heads: HeadLayout::new(2, 4),
        copies: 2,
    }
}
