use burn::module::{ModuleVisitor, Param, ParamId};
use burn::tensor::{Device, Tensor};
use burn_capture::{CaptureBackend, CaptureError, CapturedGraph, TensorId};
use thiserror::Error;

use crate::data::ImageShape;
use crate::models::Architecture;
use crate::panics::attempt;

/// A forward pass that could not be recorded.
#[derive(Debug, Error)]
pub enum GraphError {
    /// Burn could not record it.
    #[error("the forward pass could not be recorded: {0:?}")]
    Capture(CaptureError),
    /// The forward pass panicked.
    #[error("the forward pass fails ({0})")]
    Forward(String),
    /// A tensor left the recording.
    #[error("the forward pass moved a tensor to another device, so that it could not be recorded: {0}")]
    Tensor(String),
    /// An operation whose multiply-adds are not known.
    #[error("the forward pass uses `{0}`, whose multiply-adds vitslim cannot count yet")]
    Uncounted(String),
}

/// Records the forward pass of `model` on `batch` images.
///
/// # Errors
///
/// When it fails, or cannot be recorded.
pub fn capture<M: Architecture>(
    model: &M,
    image: ImageShape,
    batch: usize,
) -> Result<CapturedGraph, GraphError> {
    Ok(record(model, image, batch)?.graph)
}

/// A recorded forward pass.
pub(crate) struct Recorded {
    pub graph: CapturedGraph,
    /// Number of classes.
    pub classes: usize,
    /// The tensor of each parameter.
    pub parameters: Vec<(ParamId, TensorId)>,
}

/// Records the forward pass of `model` on `batch` images, with what else is known of it.
///
/// # Errors
///
/// Those of [`capture`].
pub(crate) fn record<M: Architecture>(
    model: &M,
    image: ImageShape,
    batch: usize,
) -> Result<Recorded, GraphError> {
    let recorder = Device::capture();
    let mut outcome = Ok((0, Vec::new()));
    let graph = recorder.capture_scope(|scope| {
        // Tensors that the forward pass creates get the float type of the others.
        let _ = recorder.clone().configure(Device::flex().settings().float_dtype);
        let model = model.valid().to_device(&recorder);
        let mut tensors = Tensors::default();
        model.visit(&mut tensors);
        let images = Tensor::<4>::zeros([batch, image.channels, image.size, image.size], &Device::flex())
            .to_device(&recorder);
        let forward = attempt(|| model.forward(images.clone()).mean()).map_err(GraphError::Forward);
        let recorded = forward.and_then(|logits| {
            let ids = tensor_id(&images).and_then(|input| Ok((input, tensor_id(&logits)?)));
            Ok((ids.map_err(GraphError::Tensor)?, logits.dims()[1]))
        });
        match recorded {
            Ok(((input, output), classes)) => {
                outcome = Ok((classes, tensors.0));
                scope.complete([input], [output])
            }
            Err(error) => {
                outcome = Err(error);
                scope.complete([], [])
            }
        }
    });
    let (classes, parameters) = outcome?;
    Ok(Recorded { graph: graph.map_err(GraphError::Capture)?, classes, parameters })
}

#[derive(Default)]
struct Tensors(Vec<(ParamId, TensorId)>);

impl ModuleVisitor for Tensors {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        if let Ok(tensor) = tensor_id(&param.val()) {
            self.0.push((param.id, tensor));
        }
    }
}

pub(super) fn tensor_id<const D: usize>(tensor: &Tensor<D>) -> Result<TensorId, String> {
    let primitive = tensor.clone().try_into_primitive::<CaptureBackend>();
    primitive.map(|primitive| primitive.id()).map_err(|error| format!("{error:?}"))
}
