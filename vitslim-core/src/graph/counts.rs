use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Tensor};

use super::capture::{GraphError, tensor_id};
use super::macs_of_graph;
use crate::data::ImageShape;
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;

/// The size of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
}

/// The size of what `change` makes of `model`, on a device that records and computes nothing: it takes no more time with more weights.
///
/// # Errors
///
/// Those of `change`, or when the forward pass cannot be recorded.
pub(crate) fn counts_after<M: Architecture, E: From<GraphError>>(
    model: &M,
    image: ImageShape,
    change: impl FnOnce(M, &Device) -> Result<M, E>,
) -> Result<Counts, E> {
    let recorder = Device::capture();
    let mut outcome: Result<u64, E> = Ok(0);
    let graph = recorder.capture_scope(|scope| {
        let _ = recorder.clone().configure(Device::flex().settings().float_dtype);
        let weightless = model.valid().map(&mut Weightless(&recorder)).to_device(&recorder);
        let recorded = change(weightless, &recorder).and_then(|model| {
            let images = Tensor::<4>::zeros([1, image.channels, image.size, image.size], &recorder);
            let logits = attempt(|| model.forward(images).mean()).map_err(GraphError::Forward)?;
            let logits = tensor_id(&logits).map_err(GraphError::Tensor)?;
            Ok((Parameter::count(&model) as u64, logits))
        });
        match recorded {
            Ok((params, logits)) => {
                outcome = Ok(params);
                scope.complete([], [logits])
            }
            Err(error) => {
                outcome = Err(error);
                scope.complete([], [])
            }
        }
    });
    let params = outcome?;
    let macs = macs_of_graph(&graph.map_err(GraphError::Capture)?)?;
    Ok(Counts { params, macs })
}

/// Replaces parameters by zeros that are recorded, so that no value is copied.
struct Weightless<'a>(&'a Device);

impl ModuleMapper for Weightless<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| Tensor::zeros(values.dims(), self.0))
    }
}
