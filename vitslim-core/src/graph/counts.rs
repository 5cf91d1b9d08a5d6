use std::collections::HashSet;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn_capture::{CapturedGraph, TensorId};
use burn_ir::{OperationIr, TensorIr};

use super::capture::{GraphError, tensor_id};
use super::macs_of_graph;
use super::simplify::simplified;
use crate::data::ImageShape;
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;

/// The size of a network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Number of parameters.
    pub params: u64,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// Whether the logits can depend on the image: not where a layer that all of it passes is left without units.
    pub sees: bool,
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
    let Weightless { graph, params, image, logits } = recorded_after(model, image, 1, change)?;
    Ok(Counts { params, macs: macs_of_graph(&graph)?, sees: sees(&graph, image, logits) })
}

/// A forward pass that was recorded without values.
pub(super) struct Weightless {
    pub(super) graph: CapturedGraph,
    /// Number of parameters.
    params: u64,
    pub(super) image: TensorId,
    pub(super) logits: TensorId,
}

impl Weightless {
    /// The operations of the forward pass, without those that made the network.
    pub(super) fn forward(self) -> Vec<OperationIr> {
        let mut operations = self.graph.graph.operations;
        let makes_image = |operation: &OperationIr| operation.outputs().any(|output| output.id == self.image);
        let first = operations.iter().position(makes_image).map_or(0, |image| image + 1);
        simplified(operations.split_off(first), self.logits)
    }
}

/// The forward pass on `batch` images of what `change` makes of `model`, as [`counts_after`] records it.
///
/// # Errors
///
/// Those of [`counts_after`].
pub(super) fn recorded_after<M: Architecture, E: From<GraphError>>(
    model: &M,
    image: ImageShape,
    batch: usize,
    change: impl FnOnce(M, &Device) -> Result<M, E>,
) -> Result<Weightless, E> {
    thread_local! {
        // One for all: there are numbers for 65,536 in a process, and to fit a network takes thousands.
        static RECORDER: Device = Device::capture();
    }

    let recorder = RECORDER.with(Device::clone);
    let mut outcome: Option<Result<_, E>> = None;
    let graph = recorder.capture_scope(|scope| {
        let _ = recorder.clone().configure(Device::flex().settings().float_dtype);
        let weightless = model.valid().map(&mut Zeros(&recorder)).to_device(&recorder);
        let recorded = change(weightless, &recorder).and_then(|model| {
            let images = Tensor::<4>::zeros([batch, image.channels, image.size, image.size], &recorder);
            let input = tensor_id(&images).map_err(GraphError::Tensor)?;
            let logits = attempt(|| model.forward(images).mean()).map_err(GraphError::Forward)?;
            let logits = tensor_id(&logits).map_err(GraphError::Tensor)?;
            Ok((Parameter::count(&model) as u64, input, logits))
        });
        let outputs: Vec<TensorId> = recorded.iter().map(|(_, _, logits)| *logits).collect();
        outcome = Some(recorded);
        scope.complete([], outputs)
    });
    let outcome = outcome.transpose()?;
    let graph = graph.map_err(GraphError::Capture)?;
    let unrecorded = || GraphError::Forward("nothing was recorded".to_owned());
    let (params, image, logits) = outcome.ok_or_else(unrecorded)?;
    Ok(Weightless { graph, params, image, logits })
}

/// Whether `logits` depend on `image` in what was recorded. Nothing passes a tensor without values.
fn sees(captured: &CapturedGraph, image: TensorId, logits: TensorId) -> bool {
    let mut reached = HashSet::from([image]);
    for operation in &captured.graph.operations {
        let passes = |input: &TensorIr| reached.contains(&input.id) && !input.shape.as_slice().contains(&0);
        if operation.inputs().any(passes) {
            reached.extend(operation.outputs().map(|output| output.id));
        }
    }
    reached.contains(&logits)
}

/// Replaces parameters by zeros that are recorded, so that no value is copied.
struct Zeros<'a>(&'a Device);

impl ModuleMapper for Zeros<'_> {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        param.map(|values| Tensor::zeros(values.dims(), self.0))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;

    use super::*;
    use crate::graph::macs;
    use crate::models::{Swin, SwinConfig, Vit, VitConfig};
    use crate::slim::{MaskSet, MaskSpec, Plan, Slimmable, describe};

    /// Asserts that what is counted without weights is what the network has that is cut with them.
    fn assert_counted<A: Architecture>(config: &A::Config) {
        let device = Device::flex();
        let model = A::init(config, &device).unwrap().valid();
        let dimensions = describe(&model).unwrap();
        let searched: Vec<_> =
            dimensions.iter().map(|dimension| (dimension.clone(), MaskSpec::default())).collect();
        let masks = MaskSet::new(&searched, &device);
        let image = ImageShape { channels: 1, size: 16 };
        for part in 1..4 {
            let mut plan = Plan::whole(&dimensions);
            plan.cuts.iter_mut().for_each(|cut| cut.keep.truncate(cut.keep.len().div_ceil(part)));
            let counts = counts_after(&model, image, |model, device| {
                Ok::<_, GraphError>(model.fold(&masks.clone().to_device(device)).slim(&plan).unwrap())
            });
            let cut = model.fold(&masks).slim(&plan).unwrap();
            let expected = Counts {
                params: Parameter::count(&cut) as u64,
                macs: macs(&cut, image).unwrap(),
                sees: true,
            };
            assert_eq!(counts.unwrap(), expected);
        }
    }

    #[test]
    fn a_network_sees_no_image_without_its_width_and_does_without_a_branch() {
        let config = VitConfig {
            image_size: 16,
            patch_size: 4,
            channels: 1,
            dim: 8,
            depth: 2,
            heads: 2,
            ..VitConfig::default()
        };
        let model = Vit::init(&config, &Device::flex()).unwrap();
        let dimensions = describe(&model).unwrap();
        let sees = |path: &str| {
            let mut plan = Plan::whole(&dimensions);
            plan.get_mut(path).unwrap().keep.clear();
            counts_after(&model, ImageShape { channels: 1, size: 16 }, |model, _| {
                Ok::<_, GraphError>(model.slim(&plan).unwrap())
            })
            .is_ok_and(|counts| counts.sees)
        };
        assert_eq!(["width", "blocks.0.attn.head_dim", "blocks.1.mlp.hidden"].map(sees), [false, true, true]);
    }

    #[test]
    fn what_is_counted_without_weights_is_what_is_cut_with_them() {
        assert_counted::<Vit>(&VitConfig {
            image_size: 16,
            patch_size: 4,
            channels: 1,
            dim: 8,
            depth: 2,
            heads: 2,
            qk_norm: true,
            ..VitConfig::default()
        });
        assert_counted::<Swin>(&SwinConfig {
            image_size: 16,
            patch_size: 2,
            channels: 1,
            dim: 8,
            depths: vec![2, 1],
            heads: vec![2, 2],
            window: 4,
            ..SwinConfig::default()
        });
    }
}
