//! Training obeys what annotations say, where shapes and the order of use say otherwise.

use burn::module::{Module, Param};
use burn::tensor::{Device, Tensor};

use super::tests::decayed;
use super::{freeze, layer_rates};
use crate::data::ImageShape;
use crate::models::{Architecture, ConfigError, Logits, Parameter};
use crate::nn::{LayerNorm, LayerNormConfig, Linear, LinearConfig};
use crate::slim::{Slim, Slimmable};

/// Only `norm` and `plain` are trained as their shapes suggest.
#[derive(Module, Debug, Slimmable)]
struct Treated {
    /// `[1, 4]`
    #[slim(decay, layer = last)]
    query: Param<Tensor<2>>,
    #[slim(no_decay, no_freeze)]
    embed: Linear,
    /// A matrix that mixes what it normalises.
    #[slim(norm)]
    whitening: (Param<Tensor<2>>, Option<Param<Tensor<1>>>),
    #[slim(freeze)]
    norm2: LayerNorm,
    #[slim]
    blocks: Vec<Branch>,
    norm: LayerNorm,
    plain: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct Branch {
    #[slim(output = [hidden], decay)]
    fc1: Linear,
    #[slim(input = [hidden], gate)]
    fc2: Linear,
    #[slim(no_decay, layer = first)]
    table: Param<Tensor<2>>,
}

impl Architecture for Treated {
    type Config = ();

    fn presets() -> Vec<(&'static str, ())> {
        Vec::new()
    }

    fn init((): &(), device: &Device) -> Result<Self, ConfigError> {
        let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).init(device);
        let norm = || LayerNormConfig::new(4).init(device);
        let param = |rows| Param::from_tensor(Tensor::ones([rows, 4], device));
        let branch = |_| Branch { fc1: linear(4, 3), fc2: linear(3, 4), table: param(4) };
        Ok(Self {
            query: param(1),
            embed: linear(192, 4),
            whitening: (param(4), Some(Param::from_tensor(Tensor::ones([4], device)))),
            norm2: norm(),
            blocks: (0..2).map(branch).collect(),
            norm: norm(),
            plain: linear(4, 2),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.embed.forward(images.flatten::<2>(1, 3)) * self.query.val();
        let (matrix, bias) = &self.whitening;
        let bias = bias.as_ref().map_or_else(|| x.clone(), |bias| bias.val().unsqueeze());
        let x = self.norm2.forward(x.matmul(matrix.val()) + bias);
        let x = self.blocks.iter().fold(x, |x, block| {
            x.clone() + block.fc2.forward(block.fc1.forward(x)).matmul(block.table.val())
        });
        self.plain.forward(self.norm.forward(x)).into()
    }
}

fn named(model: &Treated, which: impl Fn(&Parameter) -> bool) -> Vec<String> {
    let parameters = Parameter::annotated(model).into_iter().filter(which);
    parameters.map(|parameter| parameter.path).collect()
}

#[test]
fn weight_decay_acts_where_annotations_say() {
    let model = super::tests::drawn::<Treated>(&());
    let expected = [
        "query",
        "blocks.0.fc1.weight",
        "blocks.0.fc1.bias",
        "blocks.0.fc2.weight",
        "blocks.1.fc1.weight",
        "blocks.1.fc1.bias",
        "blocks.1.fc2.weight",
        "plain.weight",
    ];
    assert_eq!(named(&model, Parameter::decays), expected);
    assert_eq!(decayed(Slim::dense(model), ""), expected.map(|path| format!("model.{path}")));
}

#[test]
fn the_search_trains_what_annotations_say() {
    let model = freeze(Treated::init(&(), &Device::flex()).unwrap().train());
    let trained =
        ["query", "embed.weight", "embed.bias", "whitening.0", "whitening.1", "norm.gamma", "norm.beta"];
    assert_eq!(named(&model, |parameter| !parameter.freezes()), trained);
    let is_trained = [
        model.embed.weight.is_require_grad(),
        model.whitening.0.is_require_grad(),
        model.norm2.gamma.is_require_grad(),
        model.blocks[0].table.is_require_grad(),
    ];
    assert_eq!(is_trained, [true, true, false, false]);
}

#[test]
fn annotations_say_which_layer_a_parameter_is_of() {
    let model = Treated::init(&(), &Device::flex()).unwrap();
    let layers = layer_rates(&model, ImageShape { channels: 3, size: 8 }, 0.5).unwrap();
    let paths = |(_, layer): &(f64, Vec<Parameter>)| -> Vec<String> {
        layer.iter().map(|parameter| parameter.path.clone()).collect()
    };
    let layers: Vec<Vec<String>> = layers.iter().map(paths).collect();
    assert_eq!(layers.len(), 4, "{layers:?}");
    assert_eq!(layers[0][..3], ["blocks.0.table", "blocks.1.table", "embed.weight"]);
    assert_eq!(layers[1].len(), 4, "{layers:?}");
    assert_eq!(layers[2][4..], ["norm.gamma", "norm.beta"], "{layers:?}");
    assert_eq!(layers[3], ["plain.weight", "plain.bias", "query"]);
}
