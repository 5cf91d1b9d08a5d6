//! How training treats parameters, said of layers and parameters of every kind.

use vitslim_core::prelude::*;
use vitslim_core::slim::{DimensionMapper, Scope, Treatment};

/// It has no dimension, only something to say.
#[derive(Module, Debug, Slimmable)]
pub struct Bias<B: Module> {
    #[slim(no_decay, freeze)]
    #[slim(layer = first)]
    table: Param<Tensor<2>>,
    #[slim(no_freeze)]
    mixer: B,
}

/// Layers with axes and without, alone and several.
#[derive(Module, Debug, Slimmable)]
pub struct Treated {
    #[slim(decay, output = [width], gate, layer = last)]
    r#type: Linear,
    #[slim(norm, output = [width], gate)]
    norm: LayerNorm,
    #[slim(input = [width])]
    head: Linear,
    #[slim(no_decay)]
    maybe: Option<Linear>,
    #[slim(input = [width], no_decay)]
    many: Vec<Linear>,
    #[slim(0(input = [width]), no_decay)]
    both: (Linear, LayerNorm),
    #[slim]
    biases: Vec<Bias<Linear>>,
    #[cfg(any())]
    #[slim(norm)]
    absent: LayerNorm,
}

#[derive(Default)]
struct Recorder {
    scope: Scope,
    said: Vec<String>,
}

impl DimensionMapper for Recorder {
    fn scope(&mut self) -> &mut Scope {
        &mut self.scope
    }

    fn enter(&mut self, name: &str) {
        self.said.push(format!("in {name}"));
    }

    fn exit(&mut self) {}

    fn treat(&mut self, field: &str, treatments: &[Treatment]) {
        self.said.push(format!("{field} {treatments:?}"));
    }
}

#[test]
fn what_is_said_reaches_the_traversal() {
    let device = Device::flex();
    let linear = || LinearConfig::new(2, 2).init(&device);
    let norm = || LayerNormConfig::new(2).init(&device);
    let bias = || Bias { table: Param::from_tensor(Tensor::ones([2, 2], &device)), mixer: linear() };
    let treated = Treated {
        r#type: linear(),
        norm: norm(),
        head: linear(),
        maybe: None,
        many: vec![linear()],
        both: (linear(), norm()),
        biases: vec![bias()],
    };
    let mut recorder = Recorder::default();
    let treated = treated.map_dimensions(&mut recorder);
    assert_eq!(treated.biases.len(), 1);
    assert_eq!(
        recorder.said,
        [
            "type [Decay, LastLayer]",
            "norm [Norm]",
            "maybe [NoDecay]",
            "many [NoDecay]",
            "both [NoDecay]",
            "in many",
            "in both",
            "in biases",
            "in 0",
            "table [NoDecay, Freeze, FirstLayer]",
            "mixer [NoFreeze]",
        ]
    );
}
