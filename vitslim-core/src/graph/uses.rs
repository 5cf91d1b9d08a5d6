use std::collections::HashMap;
use std::ops::RangeInclusive;

use burn::module::ParamId;

use super::capture::{GraphError, record};
use crate::data::ImageShape;
use crate::models::Architecture;

/// From the first to the last operation of the forward pass that reads each parameter of `model`. A parameter that none reads is left
/// out.
///
/// # Errors
///
/// When the forward pass cannot be recorded.
pub(crate) fn uses<M: Architecture>(
    model: &M,
    image: ImageShape,
) -> Result<HashMap<ParamId, RangeInclusive<usize>>, GraphError> {
    let recorded = record(model, image, 1)?;
    let parameters: HashMap<_, _> =
        recorded.parameters.into_iter().map(|(parameter, tensor)| (tensor, parameter)).collect();
    let mut uses: HashMap<ParamId, RangeInclusive<usize>> = HashMap::new();
    for (number, operation) in recorded.graph.graph.operations.iter().enumerate() {
        for parameter in operation.inputs().filter_map(|input| parameters.get(&input.id)) {
            let from_first = |uses: &mut RangeInclusive<usize>| *uses = *uses.start()..=number;
            uses.entry(*parameter).and_modify(from_first).or_insert(number..=number);
        }
    }
    Ok(uses)
}
