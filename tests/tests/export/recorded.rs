//! Forward passes that a recording could take for another.

use burn::tensor::{Int, TensorData};
use vitslim_core::export::{ExportError, OnnxSetting, to_onnx, to_pytorch};
use vitslim_core::models::VitConfig;
use vitslim_core::prelude::*;
use vitslim_core::slim::{Plan, describe};

use super::{DESCRIPTION, IMAGE};

/// What is added after the linear layer.
#[derive(Clone, Copy, Debug)]
enum Added {
    /// A parameter, one value for each row.
    Offsets,
    /// The number of each image.
    Numbers,
    /// The number of images.
    Count,
}

/// A linear layer for each row of an image.
#[derive(Module, Debug, Slimmable)]
#[slim(none)]
struct Rows {
    fc: Linear,
    offsets: Param<Tensor<1>>,
    #[module(skip)]
    added: Added,
}

impl Architecture for Rows {
    type Config = VitConfig;

    fn presets() -> Vec<(&'static str, VitConfig)> {
        Vec::new()
    }

    fn init(_: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
        Ok(rows(Added::Offsets, device))
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let x = self.fc.forward(images.mean_dim(1).squeeze_dim::<3>(1));
        let ([batch, rows, _], device) = (x.dims(), x.device());
        let x = match self.added {
            Added::Offsets => x + self.offsets.val().reshape([1, rows, 1]),
            Added::Numbers => {
                x + Tensor::<1, Int>::arange(0..batch as i64, &device).float().reshape([batch, 1, 1])
            }
            Added::Count => {
                x + Tensor::<3>::from_data(TensorData::new(vec![batch as f32], [1, 1, 1]), &device)
            }
        };
        x.mean_dim(1).squeeze_dim::<2>(1).into()
    }
}

/// As many outputs as there are rows, so that a vector fits along both axes.
fn rows(added: Added, device: &Device) -> Rows {
    Rows {
        fc: LinearConfig::new(IMAGE.size, IMAGE.size).with_bias(false).init(device),
        offsets: Param::from_tensor(Tensor::ones([IMAGE.size], device)),
        added,
    }
}

#[test]
fn a_constant_that_depends_on_the_number_of_images_is_refused() {
    for added in [Added::Numbers, Added::Count] {
        let model = rows(added, &Device::flex());
        let plan = Plan::whole(&describe(&model).unwrap());
        let outcome = to_onnx(&model, &plan, IMAGE, &OnnxSetting::default());
        assert!(matches!(outcome, Err(ExportError::Batch { .. })), "{added:?}");
    }
}

#[test]
fn a_sum_along_another_axis_is_no_bias() {
    let model = rows(Added::Offsets, &Device::flex());
    let plan = Plan::whole(&describe(&model).unwrap());
    let text = to_pytorch(&model, &plan, IMAGE, &[], "rows", "A test.", DESCRIPTION).unwrap().text;
    let layers: Vec<_> = text.lines().filter(|line| line.contains("F.linear(")).collect();
    assert_eq!(layers.len(), 1, "{text}");
    assert!(!layers[0].contains("offsets") && text.contains("self.offsets"), "{text}");
}
