//! Files of weights, in the names and the layout of PyTorch.

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore, SafetensorsStoreError};
use safetensors::SafeTensors;

use crate::slim::{Plan, Slimmable, heads_as_planned};

/// Entry of the metadata that says in which order the heads are.
const HEADS: &str = "heads";

/// The order of the heads in a sub-network's weights: that of the plan.
pub(super) const AS_PLANNED: &str = "plan.ron";

/// The weights of the sub-network `model`, which `plan` left, with heads in the order of `plan`.
pub(super) fn weights<M: Slimmable>(model: &M, plan: &Plan) -> Result<Vec<u8>, SafetensorsStoreError> {
    planned_weights(model, plan, HEADS, AS_PLANNED)
}

/// The weights of the sub-network `model`, which `plan` left, with heads in the order of `plan` and one entry of metadata.
pub(crate) fn planned_weights<M: Slimmable>(
    model: &M,
    plan: &Plan,
    key: &str,
    value: &str,
) -> Result<Vec<u8>, SafetensorsStoreError> {
    let mut store = store().metadata(key, value);
    heads_as_planned(model, plan).save_into(&mut store)?;
    store.get_bytes()
}

/// The parameters of `module`.
pub(super) fn parameters<M: Module>(module: &M) -> Result<Vec<u8>, SafetensorsStoreError> {
    let mut store = store();
    module.save_into(&mut store)?;
    store.get_bytes()
}

/// Without burn's own metadata: several entries are written in an order that differs each time, so that equal runs would not leave
/// equal files.
fn store() -> SafetensorsStore {
    SafetensorsStore::from_bytes(None).with_to_adapter(BurnToPyTorchAdapter).clear_metadata()
}

/// The order of the heads in a file of weights, if its metadata say it.
pub(super) fn head_order(bytes: &[u8]) -> Option<String> {
    // A file that cannot be read is left to the one who reads its tensors.
    let (_, metadata) = SafeTensors::read_metadata(bytes).ok()?;
    metadata.metadata().as_ref()?.get(HEADS).cloned()
}
