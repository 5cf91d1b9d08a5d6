//! How parameters are trained: what decays, what the search freezes, and each at which learning rate.

use super::pattern::pattern;
use crate::data::ImageShape;
use crate::experiment::{Experiment, Freeze, Optimizer, Training};
use crate::models::{Architecture, Parameter};
use crate::report::{CheckedLayer, CheckedParameters, Reason};
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
    let all = Parameter::all(model);
    let which = |holds: &dyn Fn(&Parameter) -> bool| {
        names(all.iter().filter(|parameter| holds(parameter)).map(|parameter| pattern(&parameter.path)))
    };
    let search = experiment.search.training();
    let stages = [
        ("pretrain", experiment.pretrain.as_ref()),
        ("search", Some(&search)),
        ("retrain", experiment.retrain.as_ref()),
    ];
    let stages: Vec<(&str, &Training)> =
        stages.into_iter().filter_map(|(stage, training)| Some((stage, training?))).collect();
    let mut found = CheckedParameters::default();
    let decays = |(_, training): &(&str, &Training)| {
        let Optimizer::AdamW { weight_decay, .. } = training.optimizer;
        weight_decay.get() > 0.0
    };
    if stages.iter().any(decays) {
        (found.decaying, found.spared) = (which(&A::decays), which(&|parameter| !A::decays(parameter)));
    }
    if let Some(Freeze::Weights) = experiment.search.freeze {
        (found.frozen, found.trained) = (which(&A::freezes), which(&|parameter| !A::freezes(parameter)));
    }
    for (stage, training) in stages {
        let Some(decay) = training.layer_decay else { continue };
        let layers =
            layer_rates(model, image, decay.get()).map_err(|error| Reason::new(error.to_string()))?;
        let layer = |(factor, parameters): (f64, Vec<Parameter>)| CheckedLayer {
            stage: stage.to_owned(),
            learning_rate: factor * training.optimizer.lr().get(),
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
