//! The networks of an experiment or a run, with their sizes.

use burn::tensor::Device;

use super::networks::Source;
use crate::data::ImageShape;
use crate::experiment::Trial;
use crate::graph::{VitSlimCounts, layers, vit_slim};
use crate::models::Architecture;
use crate::report::{CountedLayer, CountedNetwork, VitSlimNetwork, VitSlimPart};
use crate::run::{Prepared, RunError, Subnet, cut_at_random, initial};

/// The sizes of the networks of `trial`, or of its run, layer by layer.
///
/// # Errors
///
/// When the experiment or a network of the run cannot be used, or a forward pass cannot be recorded.
pub fn count<A: Architecture>(trial: &Trial, source: &Source) -> miette::Result<Vec<CountedNetwork>> {
    each(trial, source, |name, model: &A, _, image| {
        let layers = layers(model, image).map_err(RunError::from)?.into_iter();
        let layers = layers.map(|layer| CountedLayer {
            path: layer.path,
            kind: layer.kind,
            params: layer.params,
            macs: layer.macs,
        });
        Ok(CountedNetwork::new(name, layers.collect()))
    })
}

/// The sizes of the networks of `trial`, or of its run, as ViT-Slim counts them.
///
/// # Errors
///
/// When the experiment or a network of the run cannot be used, or ViT-Slim has no formulas for such a network.
pub fn count_as_vit_slim<A: Architecture>(
    trial: &Trial,
    source: &Source,
) -> miette::Result<Vec<VitSlimNetwork>> {
    let architecture = &trial.experiment.model.architecture;
    each(trial, source, |name, model: &A, config, _| {
        let VitSlimCounts { params, flops, parts } = vit_slim(architecture, model, config)?;
        let parts = parts.into_iter().map(|(name, flops)| VitSlimPart { name, flops }).collect();
        Ok(VitSlimNetwork { name, params, flops, parts })
    })
}

/// What `count` says of each network of `trial`, or of its run: of its name, itself, the configuration of its dense network, and its
/// images.
fn each<A: Architecture, T>(
    trial: &Trial,
    source: &Source,
    count: impl Fn(String, &A, &A::Config, ImageShape) -> miette::Result<T>,
) -> miette::Result<Vec<T>> {
    let device = Device::flex();
    match source {
        Source::Experiment => {
            let prepared = Prepared::<A>::new(trial).map_err(RunError::from)?.timed_on(&device, "cpu", false);
            let dense = initial(&prepared, &device).map_err(RunError::Config)?;
            let networks = cut_at_random(&prepared, dense, &device);
            let count = |network: Result<(String, A), RunError>| {
                let (name, model) = network?;
                count(name, &model, &prepared.config, prepared.data.shape)
            };
            networks.map(count).collect()
        }
        Source::Run(targets) => {
            let count = |target| {
                let (subnet, _) = Subnet::<A>::open(trial, target, &device)?;
                let Subnet { model, network, label, .. } = subnet;
                count(label, &model, &network.config, network.images.shape())
            };
            targets.iter().map(count).collect()
        }
    }
}
