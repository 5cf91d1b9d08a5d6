//! The layers of the networks of an experiment or a run, with their sizes.

use burn::tensor::Device;

use super::networks::Source;
use crate::data::ImageShape;
use crate::experiment::Trial;
use crate::graph::layers;
use crate::models::Architecture;
use crate::report::{CountedLayer, CountedNetwork};
use crate::run::{Prepared, RunError, Subnet, cut_at_random, initial};

/// The sizes of the networks of `trial`, or of its run, layer by layer.
///
/// # Errors
///
/// When the experiment or a network of the run cannot be used, or a forward pass cannot be recorded.
pub fn count<A: Architecture>(trial: &Trial, source: &Source) -> miette::Result<Vec<CountedNetwork>> {
    let device = Device::flex();
    match source {
        Source::Experiment => {
            let prepared = Prepared::<A>::new(trial).map_err(RunError::from)?.timed_on(&device, "cpu");
            let dense = initial(&prepared, &device).map_err(RunError::Config)?;
            let networks = cut_at_random(&prepared, dense, &device);
            let counted = networks.map(|network| {
                let (name, model) = network?;
                counted(name, &model, prepared.data.shape)
            });
            Ok(counted.collect::<Result<_, RunError>>()?)
        }
        Source::Run(targets) => {
            let count = |target| {
                let (subnet, _) = Subnet::<A>::open(trial, target, &device)?;
                Ok(counted(subnet.label.clone(), &subnet.model, subnet.network.images.shape())?)
            };
            targets.iter().map(count).collect()
        }
    }
}

fn counted<A: Architecture>(name: String, model: &A, image: ImageShape) -> Result<CountedNetwork, RunError> {
    let layers = layers(model, image)?.into_iter();
    let layers = layers.map(|layer| CountedLayer {
        path: layer.path,
        kind: layer.kind,
        params: layer.params,
        macs: layer.macs,
    });
    Ok(CountedNetwork::new(name, layers.collect()))
}
