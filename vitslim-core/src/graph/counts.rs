use std::collections::HashSet;

use burn::module::{ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use burn_capture::{CapturedGraph, TensorId};
use burn_ir::TensorIr;

use super::capture::{GraphError, tensor_id};
use super::macs_of_graph;
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
    let recorder = Device::capture();
    let mut outcome: Result<_, E> = Ok(None);
    let graph = recorder.capture_scope(|scope| {
        let _ = recorder.clone().configure(Device::flex().settings().float_dtype);
        let weightless = model.valid().map(&mut Weightless(&recorder)).to_device(&recorder);
        let recorded = change(weightless, &recorder).and_then(|model| {
            let images = Tensor::<4>::zeros([1, image.channels, image.size, image.size], &recorder);
            let input = tensor_id(&images).map_err(GraphError::Tensor)?;
            let logits = attempt(|| model.forward(images).mean()).map_err(GraphError::Forward)?;
            let logits = tensor_id(&logits).map_err(GraphError::Tensor)?;
            Ok((Parameter::count(&model) as u64, input, logits))
        });
        match recorded {
            Ok((params, input, logits)) => {
                outcome = Ok(Some((params, input, logits)));
                scope.complete([], [logits])
            }
            Err(error) => {
                outcome = Err(error);
                scope.complete([], [])
            }
        }
    });
    let outcome = outcome?;
    let graph = graph.map_err(GraphError::Capture)?;
    let macs = macs_of_graph(&graph)?;
    let counts =
        outcome.map(|(params, image, logits)| Counts { params, macs, sees: sees(&graph, image, logits) });
    Ok(counts.unwrap_or_default())
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
struct Weightless<'a>(&'a Device);

impl ModuleMapper for Weightless<'_> {
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
