//! ONNX files.

mod external;
mod operation;
mod proto;
#[cfg(test)]
mod tests;
mod writer;

use prost::Message;

use super::error::ExportError;
use super::feature::Feature;
use super::trace::{IMAGES, LOGITS, Size, Trace};
use crate::data::ImageShape;
use proto::{
    Dim, DimensionProto, GraphProto, IR_VERSION, ModelProto, OPSET, OperatorSetIdProto,
    StringStringEntryProto, TensorShapeProto, TensorTypeProto, TypeProto, ValueInfoProto,
};
use writer::{Writer, data_type};

/// Most bytes of a protobuf message.
pub(super) const MOST_BYTES: usize = i32::MAX as usize;

/// The `DataType` of ONNX for floats.
const FLOATS: i32 = 1;

/// What the dim of the images is called.
const BATCH: &str = "batch";

/// An ONNX file, and the one beside it.
#[derive(Debug)]
pub struct OnnxFiles {
    /// The ONNX file.
    pub network: Vec<u8>,
    /// Large tensors, if the file would have too many bytes with them: a file of its name with `.data` behind.
    pub weights: Option<Vec<u8>>,
}

/// Name of the file with the large tensors of the ONNX file called `name`.
pub(super) fn weights_of(name: &str) -> String {
    format!("{name}.data")
}

/// The file called `name` of the network that was recorded as `trace`, for images of shape `image`, of at most `most_bytes`. The
/// `features` are outputs too. `metadata` are names and texts that it carries.
///
/// # Errors
///
/// When an operation has no form in ONNX, or the file would be too large even without its large tensors.
pub(super) fn file(
    trace: &Trace,
    image: ImageShape,
    features: &[Feature],
    metadata: &[(&str, String)],
    (name, most_bytes): (&str, usize),
) -> Result<OnnxFiles, ExportError> {
    let mut model = model(graph(trace, image, features)?, metadata);
    let is_large = model.encoded_len() > most_bytes;
    let graph = model.graph.as_mut().filter(|_| is_large);
    let weights = graph.map(|graph| external::moved(graph, &weights_of(name)));
    match model.encoded_len() {
        bytes if bytes > most_bytes => Err(ExportError::TooLarge { bytes, most_bytes }),
        _ => Ok(OnnxFiles { network: model.encode_to_vec(), weights }),
    }
}

fn model(graph: GraphProto, metadata: &[(&str, String)]) -> ModelProto {
    ModelProto {
        ir_version: Some(IR_VERSION),
        producer_name: Some("vitslim".to_owned()),
        producer_version: Some(env!("CARGO_PKG_VERSION").to_owned()),
        opset_import: vec![OperatorSetIdProto { domain: None, version: Some(OPSET) }],
        metadata_props: metadata.iter().map(|(key, value)| StringStringEntryProto::new(key, value)).collect(),
        graph: Some(graph),
    }
}

fn graph(trace: &Trace, image: ImageShape, features: &[Feature]) -> Result<GraphProto, ExportError> {
    let mut writer = Writer::new(trace, features);
    for operation in &trace.operations {
        writer.place = &operation.place;
        operation::write(&operation.ir, &mut writer).ok_or_else(|| operation.unwritten("ONNX"))?;
    }
    let batch = Size::PerImage(1);
    let sizes = [batch, Size::Fixed(image.channels), Size::Fixed(image.size), Size::Fixed(image.size)];
    let mut output = vec![tensor(LOGITS, FLOATS, &[batch, Size::Fixed(trace.classes)])];
    for feature in features {
        writer.output(feature);
        let data_type = data_type(feature.tensor.dtype).unwrap_or(FLOATS);
        output.push(tensor(&feature.name, data_type, &trace.sizes(&feature.tensor)));
    }
    Ok(GraphProto {
        name: Some("vitslim".to_owned()),
        input: vec![tensor(IMAGES, FLOATS, &sizes)],
        output,
        node: writer.nodes,
        initializer: writer.initializers,
    })
}

/// An input or output.
fn tensor(name: &str, data_type: i32, sizes: &[Size]) -> ValueInfoProto {
    let dim = |size: &Size| DimensionProto {
        value: match size {
            Size::Fixed(size) => Some(Dim::Value(*size as i64)),
            Size::PerImage(1) => Some(Dim::Param(BATCH.to_owned())),
            Size::PerImage(_) => None,
        },
    };
    let shape = TensorShapeProto { dim: sizes.iter().map(dim).collect() };
    let tensor_type = TensorTypeProto { elem_type: Some(data_type), shape: Some(shape) };
    ValueInfoProto { name: Some(name.to_owned()), r#type: Some(TypeProto { tensor_type: Some(tensor_type) }) }
}
