//! ViT, Swin, ConvNeXt and the distilled DeiT against timm. `data/timm/README.md` describes the files.

use std::collections::{BTreeMap, HashMap};

use burn::module::Module;
use burn::tensor::{Device, Tensor, TensorData};
use serde_json::Value;

use super::fixture::{Tensors, load, logits_tolerance};
use crate::data::ImageShape;
use crate::models::{Architecture, ConvNext, DistilledVit, Parameter, Swin, Vit};
use crate::selftest::comparison::host;
use crate::selftest::slicing::cut_at;
use crate::selftest::{Checked, Comparison, Failure};
use crate::slim::{Dimension, MaskSet, MaskSpec, Plan, describe};
use crate::train::layer_rates;

const CONFIGS: &str = include_str!("../../../data/timm/configs.json");
const LAYERS: &str = include_str!("../../../data/timm/layers.json");

/// A model of timm and its results.
struct Case {
    name: &'static str,
    weights: &'static [u8],
    io: &'static [u8],
}

macro_rules! case {
    ($name:literal) => {
        Case {
            name: $name,
            weights: include_bytes!(concat!("../../../data/timm/", $name, ".safetensors")),
            io: include_bytes!(concat!("../../../data/timm/", $name, ".io.safetensors")),
        }
    };
}

const VIT: [Case; 6] = [
    case!("vit_registers"),
    case!("vit_pooled"),
    case!("vit_mean"),
    case!("vit_qk_norm"),
    case!("vit_rope_halves"),
    case!("vit_rope_neighbours"),
];
const SWIN: [Case; 2] = [case!("swin"), case!("swin_odd")];
const CONVNEXT: [Case; 2] = [case!("convnext"), case!("convnext_odd")];
const DEIT_DISTILLED: Case = case!("deit_distilled");

impl Case {
    fn model<A: Architecture>(&self, device: &Device) -> Result<A, Failure> {
        let failure = |error: serde_json::Error| Failure::new(format!("configs.json: {error}"));
        let mut configs: HashMap<String, Value> = serde_json::from_str(CONFIGS).map_err(failure)?;
        let config = configs.remove(self.name).unwrap_or_default();
        let config = serde_json::from_value(config).map_err(failure)?;
        load(A::init(&config, device)?, self.weights)
    }

    /// Compares the dense, gated, hard-masked and sliced model.
    fn compare<A: Architecture>(&self, device: &Device, comparison: &mut Comparison) -> Result<(), Failure> {
        let io = Tensors::from_bytes(self.io);
        let model: A = self.model(device)?;
        let mut dimensions = describe(&model)?;
        let mut plan = Plan::whole(&dimensions);
        dimensions.retain(|dimension| !dimension.is_tokens() && !dimension.is_branch());
        for dimension in &dimensions {
            let hard = io.values(&format!("hard.{}", dimension.path))?;
            let cut = cut_at(&mut plan, &dimension.path)?;
            cut.keep.retain(|&unit| hard.get(unit) == Some(&1.0));
        }
        let runs = [
            ("dense", "dense", model.clone()),
            ("soft", "gated", model.gate(&soft_masks(dimensions, &io, device)?)),
            ("hard", "hard-masked", model.hard_mask(&plan)?),
            ("hard", "sliced", model.slim(&plan)?),
        ];
        let [dense, .., sliced] = runs.each_ref().map(|(.., model)| Module::num_params(model));
        comparison.holds(sliced < dense, "nothing was sliced");
        for (run, name, model) in runs {
            let logits = host(model.forward(io.tensor("images", device)?).mean())?;
            let expected = io.values(&format!("{run}.logits"))?;
            comparison.close(&format!("{name} {}", self.name), &logits, &expected, logits_tolerance(device));
        }
        Ok(())
    }

    fn compare_layers<A: Architecture>(
        &self,
        device: &Device,
        comparison: &mut Comparison,
    ) -> Result<(), Failure> {
        let [_, channels, size, _] = Tensors::from_bytes(self.io).tensor::<4>("images", device)?.dims();
        let rates = layer_rates(&self.model::<A>(device)?, ImageShape { channels, size }, 0.5)?;
        let of_layer = |(rate, layer): (f64, Vec<Parameter>)| {
            layer.into_iter().map(move |one| (name_in_timm(&one), rate))
        };
        let found: BTreeMap<String, f64> = rates.into_iter().flat_map(of_layer).collect();
        let mut all: HashMap<String, BTreeMap<String, f64>> = serde_json::from_str(LAYERS)?;
        let expected = all.remove(self.name).unwrap_or_default();
        comparison.equal("parameters", &found.keys().collect::<Vec<_>>(), &expected.keys().collect());
        for ((name, found), expected) in found.iter().zip(expected.values()) {
            comparison.equal(&format!("{}: {name}", self.name), found, expected);
        }
        Ok(())
    }
}

/// The learning rate of each parameter, where layers have rates of their own.
pub(super) fn layers(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for case in VIT {
        case.compare_layers::<Vit>(device, &mut comparison)?;
    }
    for case in SWIN {
        case.compare_layers::<Swin>(device, &mut comparison)?;
    }
    for case in CONVNEXT {
        case.compare_layers::<ConvNext>(device, &mut comparison)?;
    }
    DEIT_DISTILLED.compare_layers::<DistilledVit>(device, &mut comparison)?;
    comparison.finish()
}

/// The name that a parameter has in timm.
fn name_in_timm(parameter: &Parameter) -> String {
    match parameter.is_of_norm() {
        true => parameter.path.replace(".gamma", ".weight").replace(".beta", ".bias"),
        false => parameter.path.clone(),
    }
}

fn soft_masks(searched: Vec<Dimension>, io: &Tensors, device: &Device) -> Result<MaskSet, Failure> {
    let mut values = HashMap::new();
    for dimension in &searched {
        values.insert(dimension.path.clone(), io.values(&format!("soft.{}", dimension.path))?);
    }
    let searched: Vec<_> = searched.into_iter().map(|dimension| (dimension, MaskSpec::default())).collect();
    Ok(MaskSet::new(&searched, device).map_values(|path, old| match values.remove(path) {
        Some(values) => Tensor::from_data(TensorData::new(values, old.dims()), device),
        None => old,
    }))
}

pub(super) fn vit(device: &Device) -> Checked {
    compare_all::<Vit>(&VIT, device)
}

pub(super) fn swin(device: &Device) -> Checked {
    compare_all::<Swin>(&SWIN, device)
}

pub(super) fn convnext(device: &Device) -> Checked {
    compare_all::<ConvNext>(&CONVNEXT, device)
}

fn compare_all<A: Architecture>(cases: &[Case], device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    for case in cases {
        case.compare::<A>(device, &mut comparison)?;
    }
    comparison.finish()
}

/// Also each head separately.
pub(super) fn deit_distilled(device: &Device) -> Checked {
    let mut comparison = Comparison::default();
    DEIT_DISTILLED.compare::<DistilledVit>(device, &mut comparison)?;
    let io = Tensors::from_bytes(DEIT_DISTILLED.io);
    let model: DistilledVit = DEIT_DISTILLED.model(device)?;
    let logits = model.forward(io.tensor("images", device)?);
    let distillation = logits.distillation.ok_or_else(|| Failure::new("there is no second head"))?;
    comparison.close(
        "class token",
        &host(logits.class)?,
        &io.values("dense.class")?,
        logits_tolerance(device),
    );
    let expected = io.values("dense.distillation")?;
    comparison.close("distillation token", &host(distillation)?, &expected, logits_tolerance(device));
    comparison.finish()
}
