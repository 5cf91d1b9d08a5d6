//! Files of weights, in the names and the layout of PyTorch.

use std::collections::HashMap;

use burn::module::Module;
use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore, SafetensorsStoreError};
use safetensors::SafeTensors;

use crate::slim::{
    Carrier, Dimension, MaskSet, MaskSpec, Plan, PlanError, Slimmable, describe, heads_as_planned,
};

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

/// The shapes of the tensors in a file of weights, by their names; none if it cannot be read.
pub(super) fn shapes(bytes: &[u8]) -> HashMap<String, Vec<usize>> {
    // Such a file is left to the one who reads its tensors.
    let Ok((_, metadata)) = SafeTensors::read_metadata(bytes) else { return HashMap::new() };
    metadata.tensors().into_iter().map(|(name, tensor)| (name, tensor.shape.clone())).collect()
}

/// The sub-network that `plan` leaves of `dense`, for weights of which `shape` tells the shapes by the names of PyTorch. Where masks
/// were folded into these, heads that share a parameter in `dense` have one each.
///
/// # Errors
///
/// When the plan does not belong to `dense`.
pub(super) fn slim_like<M: Slimmable>(
    dense: &M,
    plan: &Plan,
    shape: impl Fn(&str) -> Option<Vec<usize>>,
) -> Result<M, PlanError> {
    let sliced = dense.slim(plan)?;
    let tensors = sliced.collect(None, Some(Box::new(BurnToPyTorchAdapter)), false);
    let is_unlike = |name: &str, own: Vec<usize>| shape(name).is_some_and(|shape| shape != own);
    let unlike = tensors.iter().filter(|tensor| is_unlike(&tensor.name, tensor.shape.to_vec()));
    let unlike: Vec<&str> = unlike.filter_map(|tensor| Some(tensor.name.rsplit_once('.')?.0)).collect();
    let is_unlike = |carrier: &Carrier| unlike.contains(&carrier.layer.as_str());
    let was_folded =
        |dimension: &Dimension| dimension.groups.len() > 1 && dimension.carriers.iter().any(is_unlike);
    let folded: Vec<_> = describe(dense)?
        .into_iter()
        .filter(was_folded)
        .map(|dimension| (dimension, MaskSpec::default()))
        .collect();
    let Some(device) = dense.devices().into_iter().next().filter(|_| !folded.is_empty()) else {
        return Ok(sliced);
    };
    dense.fold(&MaskSet::new(&folded, &device)).slim(plan)
}
