//! What a layer refuses, in the words that its author reads.

use burn::tensor::Int;
use vitslim_core::prelude::*;
use vitslim_core::slim::{Output, Plan, SlimLayer, describe, scale_param, select_param};

use crate::harness::device;

#[derive(Module, Debug, Slimmable)]
struct Convolutions {
    #[slim(output = [outer])]
    before: Conv2d,
    #[slim(input = [outer], gate, output = [inner], gate)]
    grouped: Conv2d,
    #[slim(input = [inner])]
    after: Conv2d,
}

fn convolutions(groups: usize) -> Convolutions {
    let conv = |groups| Conv2dConfig::new([6, 6], [1, 1]).with_groups(groups).init(&device());
    Convolutions { before: conv(1), grouped: conv(groups), after: conv(1) }
}

#[test]
fn the_input_of_a_depthwise_convolution() {
    assert_eq!(
        describe(&convolutions(6)).unwrap_err().to_string(),
        "the input of `grouped` cannot carry `outer`: input and output of a depthwise convolution are one dimension, since each \
         output channel reads one input channel: write only its `output = [...]`, and the input follows"
    );
}

#[test]
fn single_channels_of_a_group() {
    let error = describe(&convolutions(2)).unwrap_err().to_string();
    assert_eq!(
        error,
        "the input of `grouped` cannot carry `outer`: the convolution has 2 groups of 3 channels, and a single channel of one \
         group cannot be cut: make a unit a whole group, as in `output = [hidden, 3]`, or one channel of each group, as in \
         `[2, hidden]`"
    );
    assert_eq!(
        convolutions(2).slim(&Plan { cuts: vec![], ..Plan::whole(&[]) }).unwrap_err().to_string(),
        error
    );
    assert!(describe(&convolutions(1)).is_ok());
}

#[derive(Module, Debug, Slimmable)]
struct GroupsAtTheInput {
    #[slim(output = [hidden, 3])]
    before: Conv2d,
    #[slim(input = [hidden, 3], gate)]
    grouped: Conv2d,
}

#[test]
fn whole_groups_at_the_input() {
    let conv = |groups| Conv2dConfig::new([6, 6], [1, 1]).with_groups(groups).init(&device());
    let model = GroupsAtTheInput { before: conv(1), grouped: conv(2) };
    let error = describe(&model).unwrap_err().to_string();
    assert!(error.ends_with("to cut whole groups, write only its `output = [...]`"), "{error}");
}

/// A layer that does not work with a single feature.
#[derive(Module, Debug)]
struct Variance {
    scale: Param<Tensor<1>>,
}

impl SlimLayer<Output> for Variance {
    fn extent(&self, _: Output) -> usize {
        self.scale.dims()[0]
    }

    fn check(&self, _: Output, kept: &[usize]) -> Result<(), String> {
        if kept.len() == 1 { Err("a variance of one feature is 0, keep two".into()) } else { Ok(()) }
    }

    fn scale(mut self, _: Output, factors: Tensor<1>) -> Self {
        self.scale = scale_param(self.scale, 0, &factors);
        self
    }

    fn select(mut self, _: Output, kept: Tensor<1, Int>) -> Self {
        self.scale = select_param(self.scale, 0, &kept);
        self
    }
}

#[derive(Module, Debug, Slimmable)]
struct WithVariance {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(output = [hidden], gate)]
    variance: Variance,
    #[slim(input = [hidden])]
    fc2: Linear,
}

#[test]
fn a_cut_that_the_layer_does_not_work_with() {
    let linear = || LinearConfig::new(4, 4).init(&device());
    let scale = Param::from_tensor(Tensor::ones([4], &device()));
    let model = WithVariance { fc1: linear(), variance: Variance { scale }, fc2: linear() };
    let mut plan = Plan::whole(&describe(&model).unwrap());
    for (keep, refused) in [(vec![2], true), (vec![], false), (vec![0, 3], false)] {
        plan.cuts[0].keep = keep;
        let (sliced, masked) = (model.slim(&plan).err(), model.hard_mask(&plan).err());
        let expected = "the plan cuts `hidden`, but the output of `variance` cannot be cut like that: a variance of one feature is 0, \
                        keep two";
        assert_eq!(sliced.as_ref().map(ToString::to_string), refused.then(|| expected.to_owned()));
        assert_eq!(masked, sliced);
    }
}

#[derive(Module, Debug, Slimmable)]
struct Attention {
    #[slim(output = [3, heads, head_dim], gate)]
    qkv: Linear,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
    #[slim]
    bias: Bias,
    #[slim(input = [heads, head_dim])]
    proj: Linear,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads])]
struct Bias {
    #[slim(axis(0) = [heads])]
    table: Param<Tensor<1>>,
    #[slim]
    gated: Option<GatedBias>,
}

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [heads])]
struct GatedBias {
    #[slim(axis(0) = [heads], gate)]
    table: Param<Tensor<1>>,
}

#[test]
fn an_axis_of_groups_of_another_size_or_with_a_gate() {
    let table = |size| Param::from_tensor(Tensor::zeros([size], &device()));
    let attention = |size, gated| Attention {
        qkv: LinearConfig::new(4, 18).init(&device()),
        heads: HeadLayout::new(2, 3),
        bias: Bias { table: table(size), gated },
        proj: LinearConfig::new(6, 4).init(&device()),
    };
    assert!(describe(&attention(2, None)).is_ok());
    assert_eq!(
        describe(&attention(6, None)).unwrap_err().to_string(),
        "the axis(0) of `bias.table` cannot carry `head_dim`: it has 6 features, but its axis names only the 2 groups: \
         name their units too, if each has its own"
    );
    assert_eq!(
        describe(&attention(2, Some(GatedBias { table: table(2) }))).unwrap_err().to_string(),
        "the axis(0) of `bias.gated.table` cannot carry `head_dim`: its axis names only the groups, but masks multiply units: \
         remove its `gate`"
    );
}

#[test]
#[should_panic(expected = "4 groups do not divide 6 and 8 channels")]
fn groups_that_do_not_divide_the_channels() {
    Conv2dConfig::new([6, 8], [1, 1]).with_groups(4).init(&device());
}

#[derive(Module, Debug, Slimmable)]
struct QkAndValues {
    #[slim(output = [heads, qk + qk + v], gate)]
    qkv: Linear,
    #[slim(layout = [heads, qk, v])]
    heads: HeadLayout,
    #[slim(input = [heads, v])]
    proj: Linear,
}

#[test]
fn a_layout_that_is_none() {
    let refused = |heads: HeadLayout| {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device());
        let model = QkAndValues { qkv: linear(4, 24), heads, proj: linear(12, 4) };
        describe(&model).map_err(|error| error.to_string())
    };
    let layout = |qk, queries| HeadLayout { qk: Some(qk), queries, ..HeadLayout::new(3, 4) };
    assert!(refused(layout(vec![2; 3], 1)).is_ok());
    for heads in [1, 4] {
        assert_eq!(
            refused(layout(vec![2; heads], 1)).unwrap_err(),
            format!(
                "the layout of `qk` contradicts its annotation: it has {heads} heads of queries and keys, but 3 of values"
            )
        );
    }
    assert_eq!(
        refused(layout(vec![2; 3], 0)).unwrap_err(),
        "the layout of `qk` contradicts its annotation: it has `queries: 0`: write 1, or how many share a head of keys and values"
    );
}

#[derive(Module, Debug, Slimmable)]
struct SideBySide {
    #[slim(output = [fine], gate)]
    fc1: Linear,
    #[slim(output = [coarse], gate)]
    fc2: Linear,
    #[slim(input = [fine + coarse])]
    head: Linear,
}

#[test]
fn a_sum_of_another_size() {
    let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device());
    let model = SideBySide { fc1: linear(4, 8), fc2: linear(4, 6), head: linear(16, 2) };
    assert_eq!(
        describe(&model).unwrap_err().to_string(),
        "the input of `head` cannot carry `fine + coarse`: it has 16 features, but its axis has 14, with 8 units of `fine` and 6 of \
         `coarse`"
    );
}

#[derive(Module, Debug, Slimmable)]
struct Two {
    #[slim(output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
}

#[test]
fn a_count_is_advised_where_it_would_help() {
    let refused = |read| {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(&device());
        describe(&Two { fc1: linear(4, 6), fc2: linear(read, 4) }).unwrap_err().to_string()
    };
    assert!(refused(12).contains("as in `[2, hidden]`"), "{}", refused(12));
    assert!(refused(0).ends_with("if not, give one another name"), "{}", refused(0));
}
