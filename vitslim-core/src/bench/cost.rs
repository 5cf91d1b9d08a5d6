//! What steps ask of a device that runs kernels, as burn and cubecl tell it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use burn::backend::DispatchDevice;
use burn::tensor::Device;
use burn_fusion::observer::{BlockOperations, FusionObservation, FusionObserver};
use burn_ir::OperationIr;
use cubecl_runtime::client::Client;
use cubecl_runtime::launched::LaunchedKernels;
use cubecl_runtime::memory_management::MemoryScope;

use super::work::{Benched, Work};
use crate::report::{CostlyNetwork, StepCost, StepCosts};
use crate::train::EvaluateError;

/// Steps before the one that is counted. In the first, kernels are chosen by their speed; in the second, the optimizer has its state.
const BEFORE: usize = 2;

/// Counts one step of each work of all networks.
///
/// # Errors
///
/// When a network's logits are not finite, or the device fails, or runs no kernels.
pub fn costs(
    experiments: Vec<Benched>,
    batch: usize,
    device: &Device,
    device_name: &str,
) -> Result<StepCosts, EvaluateError> {
    let DispatchDevice::Cube(cube) = device.as_dispatch() else {
        return Err(EvaluateError::Device("it runs no kernels".to_owned()));
    };
    let client = cube.client();
    let mut networks = Vec::new();
    for Benched { name: experiment, precision, networks: benched, .. } in experiments {
        for network in benched {
            let steps = network.work.into_iter().map(|work| cost(work, device, &client));
            networks.push(CostlyNetwork {
                experiment: experiment.clone(),
                name: network.name,
                precision: precision.clone(),
                steps: steps.collect::<Result<_, _>>()?,
            });
        }
    }
    Ok(StepCosts { device: device_name.to_owned(), batch, networks })
}

fn cost(mut work: Work, device: &Device, client: &Client) -> Result<StepCost, EvaluateError> {
    let sync = || device.sync().map_err(|error| EvaluateError::Device(error.to_string()));
    for _ in 0..BEFORE {
        (work.once)()?;
    }
    sync()?;
    let held = bytes_in_use(client);
    let observer = Arc::new(Observer { client: client.clone(), counted: Mutex::default() });
    let observation = FusionObservation::new(observer.clone());
    (work.once)()?;
    sync()?;
    drop(observation);
    let counted = observer.counted();
    let peak_bytes = counted.cost.peak_bytes.saturating_sub(held);
    Ok(StepCost { step: work.kind.name(), peak_bytes, ..counted.cost.clone() })
}

fn bytes_in_use(client: &Client) -> u64 {
    client.memory_report(MemoryScope::Device).usage().bytes_in_use
}

#[derive(Default)]
struct Counted {
    cost: StepCost,
    /// The kernels of the block that runs.
    launched: Option<LaunchedKernels>,
}

/// Adds up what burn's fusion server says. The kernels of a block are launched between its start and its end.
struct Observer {
    client: Client,
    counted: Mutex<Counted>,
}

impl Observer {
    fn counted(&self) -> MutexGuard<'_, Counted> {
        self.counted.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether `operation` computes something: it neither announces a tensor that was copied to the device, nor frees one.
fn computes(operation: &OperationIr) -> bool {
    !matches!(operation, OperationIr::Init(_) | OperationIr::Drop(_))
}

impl FusionObserver for Observer {
    fn registered(&self, operation: &OperationIr) {
        let cost = &mut self.counted().cost;
        cost.copies_in += usize::from(matches!(operation, OperationIr::Init(_)));
        cost.operations += usize::from(computes(operation));
    }

    fn block_starts(&self, block: BlockOperations<'_>) {
        let mut counted = self.counted();
        let together = block.iter().filter(|operation| computes(operation)).count();
        if together > 1 {
            counted.cost.fused += together;
        }
        counted.launched = Some(LaunchedKernels::new());
    }

    fn block_ran(&self) {
        let mut counted = self.counted();
        if let Some(launched) = counted.launched.take() {
            counted.cost.kernels += launched.finish().len();
        }
        counted.cost.peak_bytes = counted.cost.peak_bytes.max(bytes_in_use(&self.client));
    }
}
