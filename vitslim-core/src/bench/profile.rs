//! Where the time of a step goes, operation by operation.

use std::collections::BTreeMap;

use burn::tensor::Device;

use super::measure::{Limit, benchmark};
use super::work::Benched;
use crate::graph::Operation;
use crate::latency::{Clock, DeviceClock};
use crate::report::{BenchedNetwork, Profile, ProfiledNetwork, ProfiledOperation, ProfiledStep, Timing};
use crate::train::EvaluateError;

/// A matrix product that shows what a device can do: large, and of sizes that fill its vectors.
const LARGE: Operation = Operation::Linear { x: [1, 2048, 1024], d_output: 1024, bias: true };

/// A backward pass has two products for each of the forward pass: the gradients of both factors.
const PRODUCTS_IN_TRAINING: f64 = 3.0;

/// Measures the training and the inference of all networks, and by itself each operation in them.
///
/// # Errors
///
/// When a network's logits are not finite, an operation cannot be measured, or the device fails.
pub fn profile(
    experiments: Vec<Benched>,
    limit: Limit,
    batch: usize,
    (device, device_name): (&Device, &str),
) -> Result<Profile, EvaluateError> {
    let networks = experiments.iter().flat_map(|experiment| &experiment.networks);
    let operations: Vec<_> = networks.filter_map(|network| network.operations.clone()).collect();
    let measured = benchmark(experiments, limit, batch, device_name)?;
    let mut operations = operations.into_iter();
    let mut networks = Vec::new();
    for experiment in measured.experiments {
        for (network, (precision, operations)) in experiment.networks.into_iter().zip(operations.by_ref()) {
            let inference = DeviceClock { device: device.clone(), precision };
            let training = DeviceClock { device: device.clone().autodiff(), precision };
            let most = 2.0 * LARGE.macs() as f64 / seconds(&inference, &LARGE)?;
            let BenchedNetwork { name, training: of_training, inference: of_inference, .. } = network;
            let steps = [
                ("training", of_training, &training, PRODUCTS_IN_TRAINING),
                ("inference", of_inference, &inference, 1.0),
            ];
            let measured = steps.into_iter().filter_map(|(step, timing, clock, products)| {
                timing.map(|timing| self::step(step, timing, &operations, (clock, products), most))
            });
            networks.push(ProfiledNetwork {
                experiment: experiment.name.clone(),
                name,
                precision: experiment.precision.clone(),
                most: most / 1e9,
                steps: measured.collect::<Result<_, _>>()?,
            });
        }
    }
    Ok(Profile { device: measured.device, batch, networks })
}

/// A step that takes as long as `timing` says, of the `operations`, each of which has so many products where it has one in inference.
fn step(
    step: &'static str,
    timing: Timing,
    operations: &[Operation],
    (clock, products): (&DeviceClock, f64),
    most: f64,
) -> Result<ProfiledStep, EvaluateError> {
    let mut counted: BTreeMap<&Operation, usize> = BTreeMap::new();
    operations.iter().for_each(|operation| *counted.entry(operation).or_default() += 1);
    let whole = timing.milliseconds.median / 1000.0;
    let measured = counted.into_iter().map(|(operation, calls)| {
        let once = seconds(clock, operation)?;
        let speed = 2.0 * products * operation.macs() as f64 / once;
        let (operation, shape) = operation.described();
        let speed = (speed > 0.0).then_some(speed);
        Ok(ProfiledOperation {
            operation,
            shape,
            calls,
            milliseconds: 1000.0 * calls as f64 * once,
            share: calls as f64 * once / whole,
            gflops: speed.map(|speed| speed / 1e9),
            of_most: speed.map(|speed| speed / most),
        })
    });
    let mut operations = measured.collect::<Result<Vec<_>, EvaluateError>>()?;
    operations.sort_by(|a, b| b.milliseconds.total_cmp(&a.milliseconds));
    Ok(ProfiledStep { step, milliseconds: timing.milliseconds.median, operations })
}

fn seconds(clock: &DeviceClock, operation: &Operation) -> Result<f64, EvaluateError> {
    clock.seconds(operation).map_err(|error| EvaluateError::Device(error.to_string()))
}
