//! ONNX files.

mod operation;
mod proto;
#[cfg(test)]
mod tests;
mod writer;

use prost::Message;

use super::error::ExportError;
use super::trace::Trace;
use crate::data::ImageShape;
use proto::{
    Dim, DimensionProto, GraphProto, IR_VERSION, ModelProto, OPSET, OperatorSetIdProto,
    StringStringEntryProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use writer::{IMAGES, LOGITS, Writer};

/// Most bytes of a protobuf message.
const MOST_BYTES: usize = i32::MAX as usize;

/// What the dim of the images is called.
const BATCH: &str = "batch";

/// The file of the network that was recorded as `trace`, for images of shape `image`. `metadata` are names and texts that it carries.
///
/// # Errors
///
/// When an operation has no form in ONNX, or the file would be too large.
pub(super) fn file(
    trace: &Trace,
    image: ImageShape,
    metadata: &[(&str, String)],
) -> Result<Vec<u8>, ExportError> {
    let model = model(trace, image, metadata)?;
    match model.encoded_len() {
        bytes if bytes > MOST_BYTES => Err(ExportError::TooLarge { bytes }),
        _ => Ok(model.encode_to_vec()),
    }
}

fn model(trace: &Trace, image: ImageShape, metadata: &[(&str, String)]) -> Result<ModelProto, ExportError> {
    let mut writer = Writer::new(trace);
    for operation in &trace.operations {
        writer.place = &operation.place;
        operation::write(&operation.ir, &mut writer).ok_or_else(|| operation.unwritten("ONNX"))?;
    }
    let images = [Dim::Param(BATCH.to_owned())]
        .into_iter()
        .chain([image.channels, image.size, image.size].map(|size| Dim::Value(size as i64)));
    let logits = [Dim::Param(BATCH.to_owned()), Dim::Value(trace.classes as i64)];
    let entry = |(key, value): &(&str, String)| StringStringEntryProto {
        key: Some((*key).to_owned()),
        value: Some(value.clone()),
    };
    Ok(ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("vitslim".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
        metadata_props: metadata.iter().map(entry).collect(),
        graph: Some(GraphProto {
            name: Some("vitslim".to_owned()),
            input: vec![floats(IMAGES, images)],
            output: vec![floats(LOGITS, logits)],
            node: writer.nodes,
            initializer: writer.initializers,
        }),
    })
}

/// A tensor of floats, of inputs or outputs.
fn floats(name: &str, dims: impl IntoIterator<Item = Dim>) -> ValueInfoProto {
    let dim = dims.into_iter().map(|dim| DimensionProto { value: Some(dim) }).collect();
    let tensor_type = TensorTypeProto { elem_type: Some(1), shape: Some(TensorShapeProto { dim }) };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
