use burn_capture::CapturedGraph;
use burn_ir::{FloatOperationIr, ModuleOperationIr, OperationIr, TensorIr};

use super::{GraphError, capture};
use crate::data::ImageShape;
use crate::models::Architecture;

/// Multiply-adds of `model` for one image: matrix products, convolutions and attention only. Biases, norms, activations,
/// softmax and additions are not counted (fvcore's convention).
///
/// # Errors
///
/// When the forward pass cannot be recorded, or has an operation whose multiply-adds are not known.
pub fn macs<M: Architecture>(model: &M, image: ImageShape) -> Result<u64, GraphError> {
    macs_of_graph(&capture(model, image, 1)?)
}

/// Multiply-adds of a captured forward pass, all images of its batch together.
///
/// # Errors
///
/// When it has an operation whose multiply-adds are not known.
pub fn macs_of_graph(captured: &CapturedGraph) -> Result<u64, GraphError> {
    captured.graph.operations.iter().map(macs_of).sum()
}

fn macs_of(operation: &OperationIr) -> Result<u64, GraphError> {
    let last = |tensor: &TensorIr| tensor.shape.as_slice().last().copied().unwrap_or(1) as u64;
    Ok(match operation {
        OperationIr::Float(_, FloatOperationIr::Matmul(matmul)) => elements(&matmul.out) * last(&matmul.lhs),
        OperationIr::Module(ModuleOperationIr::Linear(linear)) => elements(&linear.out) * last(&linear.x),
        // The weight holds all the factors of one output channel: `[out, in / groups, ...kernel]`.
        OperationIr::Module(ModuleOperationIr::Conv1d(conv)) => {
            elements(&conv.out) * per_channel(&conv.weight)
        }
        OperationIr::Module(ModuleOperationIr::Conv2d(conv)) => {
            elements(&conv.out) * per_channel(&conv.weight)
        }
        OperationIr::Module(ModuleOperationIr::Attention(attention)) => {
            let queries = attention.query.shape.as_slice();
            let keys = attention.key.shape.as_slice();
            let scores = (queries[0] * queries[1] * queries[2] * keys[2]) as u64;
            scores * (last(&attention.key) + last(&attention.value))
        }
        OperationIr::Module(
            ModuleOperationIr::LayerNorm(_)
            | ModuleOperationIr::BatchNorm(_)
            | ModuleOperationIr::Embedding(_)
            | ModuleOperationIr::AvgPool1d(_)
            | ModuleOperationIr::AvgPool2d(_)
            | ModuleOperationIr::AdaptiveAvgPool1d(_)
            | ModuleOperationIr::AdaptiveAvgPool2d(_)
            | ModuleOperationIr::MaxPool1d(_)
            | ModuleOperationIr::MaxPool2d(_)
            | ModuleOperationIr::Interpolate(_)
            | ModuleOperationIr::Unfold4d(_),
        ) => 0,
        OperationIr::Module(unknown) => return Err(uncounted(unknown)),
        OperationIr::Custom(custom) => return Err(GraphError::Uncounted(custom.id.clone())),
        _ => 0,
    })
}

fn elements(tensor: &TensorIr) -> u64 {
    tensor.shape.as_slice().iter().map(|&size| size as u64).product()
}

fn per_channel(weight: &TensorIr) -> u64 {
    weight.shape.as_slice().iter().skip(1).map(|&size| size as u64).product()
}

fn uncounted(operation: &ModuleOperationIr) -> GraphError {
    let described = format!("{operation:?}");
    let name = described.split(['(', ' ']).next().unwrap_or_default();
    GraphError::Uncounted(name.to_owned())
}
