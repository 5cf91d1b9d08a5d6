//! Weights in a file beside the network, as ONNX has it where a file would be too large
//! (<https://onnx.ai/onnx/repo-docs/ExternalData.html>).

use super::proto::{GraphProto, StringStringEntryProto};

/// Fewest bytes of a tensor that is moved.
const FEWEST_BYTES: usize = 1024;

/// Where tensors begin, in bytes: at a page of memory, so that runtimes can map them.
const PAGE: usize = 4096;

/// The `DataLocation` of ONNX for values in another file.
const EXTERNAL: i32 = 1;

/// Takes the values of large tensors out of `graph`: the content of the file called `name` in the same folder.
pub(super) fn moved(graph: &mut GraphProto, name: &str) -> Vec<u8> {
    let mut moved = Vec::new();
    for tensor in &mut graph.initializer {
        let Some(values) = tensor.raw_data.take_if(|values| values.len() >= FEWEST_BYTES) else { continue };
        moved.resize(moved.len().next_multiple_of(PAGE), 0);
        let (offset, length) = (moved.len(), values.len());
        tensor.external_data = vec![
            StringStringEntryProto::new("location", name),
            StringStringEntryProto::new("offset", offset),
            StringStringEntryProto::new("length", length),
        ];
        tensor.data_location = Some(EXTERNAL);
        moved.extend(values);
    }
    moved
}
