use std::collections::HashMap;

use burn::store::ModuleSnapshot;
use burn_capture::TensorId;
use burn_ir::{IrVisitorMut, TensorIr};
use sha2::{Digest, Sha256};

use super::capture::{GraphError, capture};
use crate::data::ImageShape;
use crate::models::Architecture;

/// A text by which networks are told apart: it changes with the names and values of the parameters, and with what the forward
/// pass computes from them.
///
/// # Errors
///
/// When the forward pass cannot be recorded.
pub(crate) fn signature<M: Architecture>(model: &M, image: ImageShape) -> Result<String, GraphError> {
    let mut hash = Sha256::new();
    for parameter in model.collect(None, None, false) {
        hash.update(format!("{} {:?}\n", parameter.name, parameter.shape));
    }
    let mut captured = capture(model, image, 1)?;
    let mut numbers = Numbers::default();
    for operation in &mut captured.graph.operations {
        operation.visit_mut(&mut numbers);
        hash.update(format!("{operation:?}\n"));
    }
    // Parameters and constants, in the order in which they were recorded.
    for value in captured.values.values() {
        hash.update(format!("{:?} {:?}\n", value.shape(), value.dtype()));
        hash.update(value.as_bytes());
    }
    Ok(format!("{:x}", hash.finalize()))
}

/// Numbers tensors from 0 in the order in which they occur: burn counts them from the start of the process.
#[derive(Default)]
struct Numbers(HashMap<TensorId, u64>);

impl IrVisitorMut for Numbers {
    fn visit_tensor_mut(&mut self, tensor: &mut TensorIr) {
        let next = self.0.len() as u64;
        tensor.id = TensorId::new(*self.0.entry(tensor.id).or_insert(next));
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};
    use vitslim_macros::Slimmable;

    use super::*;
    use crate::models::{ConfigError, Logits, Vit, VitConfig};

    /// A ViT that multiplies its logits by `FACTOR`.
    #[derive(Module, Debug, Slimmable)]
    struct Scaled<const FACTOR: u8> {
        #[slim]
        vit: Vit,
    }

    impl<const FACTOR: u8> Architecture for Scaled<FACTOR> {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            Ok(Self { vit: Vit::init(config, device)? })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            (self.vit.forward(images).class * f64::from(FACTOR)).into()
        }
    }

    fn of<const FACTOR: u8>(vit: &Vit) -> String {
        signature(&Scaled::<FACTOR> { vit: vit.clone() }, ImageShape { channels: 1, size: 8 }).unwrap()
    }

    #[test]
    fn it_changes_with_weights_and_with_what_is_computed_and_with_nothing_else() {
        let config = "(image_size: 8, channels: 1, classes: 3, patch_size: 4, dim: 8, depth: 1, heads: 2)";
        let made = || Vit::init(&ron::from_str(config).unwrap(), &Device::flex()).unwrap();
        let vit = made();
        assert_eq!(of::<2>(&vit), of::<2>(&vit));
        assert_ne!(of::<2>(&vit), of::<3>(&vit), "another forward pass");
        assert_ne!(of::<2>(&vit), of::<2>(&made()), "other weights");
    }
}
