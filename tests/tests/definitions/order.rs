//! The calls that the generated code makes, in their order.

use vitslim_core::prelude::*;
use vitslim_core::slim::{DimensionAxis, DimensionMapper, LaidOut, Scope, Side, SlimLayer};

#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width, unknown])]
struct Inner {
    #[slim(axis(1) = [hidden], axis(0) = [width, 2], gate)]
    r#type: Param<Tensor<2>>,
    #[slim(axis(0) = [unknown])]
    ignored: Param<Tensor<1>>,
    #[slim(axis(0) = [copies, 2, hidden, 5], gate)]
    last: Param<Tensor<1>>,
    copies: usize,
}

#[derive(Module, Debug, Slimmable)]
struct Outer {
    #[slim(axis(0) = [heads, head_dim], gate)]
    first: Param<Tensor<1>>,
    #[slim]
    many: Vec<Inner>,
    #[slim(tokens)]
    tokens: TokenGate,
    #[slim]
    none: Option<Inner>,
    #[slim(axis(0) = [width], gate)]
    second: Param<Tensor<1>>,
    #[slim(layout = [heads, head_dim])]
    heads: HeadLayout,
}

#[derive(Default)]
struct Recorder {
    scope: Scope,
    calls: Vec<String>,
}

impl DimensionMapper for Recorder {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn map_layout(&mut self, laid_out: &[LaidOut], layout: HeadLayout) -> HeadLayout {
        self.calls.push(format!("layout of {}", laid_out[0].dimension));
        layout
    }

    fn map_tokens(&mut self, dimension: &str, gate: TokenGate) -> TokenGate {
        self.calls.push(format!("tokens {dimension}"));
        gate
    }

    fn map_axis<S: Side, L: SlimLayer<S>>(&mut self, axis: DimensionAxis, layer: L, side: S) -> L {
        let (outer, inner) = axis.outer_and_inner().expect("counts around one dimension");
        let dimension = axis.dimensions().next().expect("a dimension").path.clone();
        let (path, gate) = (axis.layer, if axis.gated { ", gate" } else { "" });
        let side = side.name();
        self.calls.push(format!("{path} {side} = [{outer}, {dimension}, {inner}]{gate}"));
        layer
    }
}

#[test]
fn calls_in_order() {
    let device = Device::flex();
    let inner = || Inner {
        r#type: Param::from_tensor(Tensor::ones([2, 2], &device)),
        ignored: Param::from_tensor(Tensor::ones([2], &device)),
        last: Param::from_tensor(Tensor::ones([2], &device)),
        copies: 7,
    };
    let outer = Outer {
        first: Param::from_tensor(Tensor::ones([2], &device)),
        many: vec![inner(), inner()],
        tokens: TokenGate::new(4, 1),
        none: None,
        second: Param::from_tensor(Tensor::ones([2], &device)),
        heads: HeadLayout::new(2, 1),
    };
    let mut recorder = Recorder::default();
    let outer = outer.map_dimensions(&mut recorder);
    assert_eq!(outer.many.len(), 2);
    assert_eq!(
        recorder.calls,
        [
            "layout of head_dim",
            "first axis(0) = [1, head_dim, 1], gate",
            "many.0.type axis(1) = [1, many.0.hidden, 1]",
            "many.0.type axis(0) = [1, width, 2], gate",
            "many.0.last axis(0) = [14, many.0.hidden, 5], gate",
            "many.1.type axis(1) = [1, many.1.hidden, 1]",
            "many.1.type axis(0) = [1, width, 2], gate",
            "many.1.last axis(0) = [14, many.1.hidden, 5], gate",
            "tokens tokens",
            "second axis(0) = [1, width, 1], gate",
        ]
    );
    assert_eq!(recorder.scope.undeclared(), ["many.0.unknown", "many.1.unknown"]);
}
