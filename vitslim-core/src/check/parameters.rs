//! How parameters are trained: what decays, what the search freezes, and each at which learning rate.

use super::pattern::pattern;
use crate::data::ImageShape;
use crate::experiment::{Experiment, Freeze, Training};
use crate::models::{Architecture, Parameter};
use crate::report::{CheckedLayer, CheckedParameters, CheckedTensors, Reason};
use crate::run::scaled_rates;
use crate::train::layer_rates;

/// How `experiment` trains the parameters of `model`.
///
/// # Errors
///
/// When the forward pass, which orders the layers, cannot be recorded.
pub(super) fn parameters<A: Architecture>(
    model: &A,
    image: ImageShape,
    experiment: &Experiment,
) -> Result<CheckedParameters, Reason> {
    let all = Parameter::annotated(model);
    let which = |holds: &dyn Fn(&Parameter) -> bool| {
        let found: Vec<&Parameter> = all.iter().filter(|parameter| holds(parameter)).collect();
        CheckedTensors {
            tensors: found.len(),
            values: found.iter().map(|parameter| parameter.shape.iter().product::<usize>()).sum(),
            names: names(found.iter().map(|parameter| pattern(&parameter.path))),
        }
    };
    let search = experiment.search_training();
    let stages = [
        ("pretrain", experiment.pretrain.as_ref()),
        ("search", search.as_ref()),
        ("retrain", experiment.retrain.as_ref()),
    ];
    let stages: Vec<(&str, &Training)> =
        stages.into_iter().filter_map(|(stage, training)| Some((stage, training?))).collect();
    let decay = |training: &Training| training.optimizer.weight_decay().get() > 0.0;
    let decaying = stages.iter().filter(|(_, training)| decay(training));
    let mut found = CheckedParameters {
        decaying_in: decaying.map(|(stage, _)| (*stage).to_owned()).collect(),
        decaying_masks: search.is_some() && experiment.search.masks.weight_decay.get() > 0.0,
        scaled_rates: scaled_rates(experiment),
        ..CheckedParameters::default()
    };
    if !found.decaying_in.is_empty() {
        (found.decaying, found.spared) = (which(&Parameter::decays), which(&|parameter| !parameter.decays()));
    }
    if search.is_some() && experiment.search.freeze == Some(Freeze::Weights) {
        (found.frozen, found.trained) =
            (which(&Parameter::freezes), which(&|parameter| !parameter.freezes()));
    }
    for (stage, training) in stages {
        let Some(decay) = training.layer_decay else { continue };
        let layers =
            layer_rates(model, image, decay.get()).map_err(|error| Reason::new(error.to_string()))?;
        let layer = |(factor, parameters): (f64, Vec<Parameter>)| CheckedLayer {
            stage: stage.to_owned(),
            learning_rate: factor * training.lr(),
            parameters: names(
                parameters.into_iter().map(|parameter| parameter.block.unwrap_or(parameter.path)),
            ),
        };
        found.layers.extend(layers.into_iter().map(layer));
    }
    Ok(found)
}

/// Each of `all` once.
fn names(all: impl Iterator<Item = String>) -> Vec<String> {
    let mut names = Vec::new();
    for name in all {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use burn::module::{Module, Param};
    use burn::tensor::{Device, Tensor};

    use super::*;
    use crate::experiment::Document;
    use crate::models::{ConfigError, Logits};
    use crate::nn::{Linear, LinearConfig};
    use crate::slim::Slimmable;

    /// Annotated against its shapes and the order of use.
    #[derive(Module, Debug, Slimmable)]
    struct Treated {
        #[slim(output = [hidden], no_decay)]
        fc1: Linear,
        #[slim(input = [hidden], gate, layer = first)]
        fc2: Linear,
        #[slim(freeze, decay)]
        scale: Param<Tensor<1>>,
        #[slim(norm)]
        mix: Param<Tensor<2>>,
        #[slim]
        blocks: Vec<Block>,
    }

    #[derive(Module, Debug, Slimmable)]
    struct Block {
        #[slim(layer = last)]
        late: Param<Tensor<1>>,
        early: Linear,
    }

    impl Architecture for Treated {
        type Config = ();

        fn presets() -> Vec<(&'static str, ())> {
            Vec::new()
        }

        fn init((): &(), device: &Device) -> Result<Self, ConfigError> {
            let linear = |inputs, outputs| LinearConfig::new(inputs, outputs).with_bias(false).init(device);
            Ok(Self {
                fc1: linear(4, 2),
                fc2: linear(2, 3),
                scale: Param::from_tensor(Tensor::ones([3], device)),
                mix: Param::from_tensor(Tensor::ones([3, 3], device)),
                blocks: vec![Block {
                    late: Param::from_tensor(Tensor::ones([4], device)),
                    early: linear(4, 4),
                }],
            })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            let x = images.flatten::<2>(1, 3);
            let x =
                self.blocks.iter().fold(x, |x, block| block.early.forward(x) * block.late.val().unsqueeze());
            let x = self.fc2.forward(self.fc1.forward(x)) * self.scale.val().unsqueeze();
            x.matmul(self.mix.val()).into()
        }
    }

    #[test]
    fn what_annotations_say_is_what_is_told() {
        let text = "Experiment(name: \"a\", model: (architecture: \"treated\"), data: Digits, search: (epochs: 1, freeze: Weights, \
                    layer_decay: 0.5, optimizer: AdamW(lr: 1, weight_decay: 0.5), dimensions: { \"hidden\": (weight: 0) }), \
                    budgets: [Share({ \"hidden\": 0.5 })])";
        let experiment = Document::parse("a.ron", text, &[]).unwrap().experiment().unwrap();
        let model = Treated::init(&(), &Device::flex()).unwrap();
        let told = parameters(&model, ImageShape { channels: 1, size: 2 }, &experiment).unwrap();
        let tensors = |tensors: usize, values, names: &[&str]| CheckedTensors {
            tensors,
            values,
            names: names.iter().map(|name| (*name).to_owned()).collect(),
        };
        assert_eq!((&told.decaying_in[..], told.decaying_masks), (&["search".to_owned()][..], false));
        assert_eq!(told.decaying, tensors(3, 25, &["fc2.weight", "scale", "blocks.*.early.weight"]));
        assert_eq!(told.spared, tensors(3, 21, &["fc1.weight", "mix", "blocks.*.late"]));
        assert_eq!(
            told.frozen,
            tensors(4, 33, &["fc1.weight", "fc2.weight", "scale", "blocks.*.early.weight"])
        );
        assert_eq!(told.trained, tensors(2, 13, &["mix", "blocks.*.late"]));
        assert!(told.scaled_rates.is_empty());
        let expected: [(f64, &[&str]); 3] = [
            (0.25, &["fc2.weight"]),
            (0.5, &["blocks.0", "mix"]),
            (1.0, &["fc1.weight", "scale", "blocks.0.late"]),
        ];
        let told: Vec<(f64, Vec<&str>)> = told
            .layers
            .iter()
            .map(|layer| (layer.learning_rate, layer.parameters.iter().map(String::as_str).collect()))
            .collect();
        assert_eq!(told, expected.map(|(rate, names)| (rate, names.to_vec())));
    }
}
