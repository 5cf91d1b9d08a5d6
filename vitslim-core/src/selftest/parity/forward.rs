//! Logits and activations, dense and under soft masks.

use burn::tensor::{Device, Tensor};

use super::fixture::{SEARCHED, Tensors, VARIANTS, logits_tolerance, masks, model, spec};
use crate::models::Architecture;
use crate::nn::TokenSizes;
use crate::selftest::comparison::host;
use crate::selftest::{Checked, Comparison};
use crate::slim::{Granularity, MaskSet, Slimmable, describe};

pub(super) fn dense_logits(device: &Device) -> Checked {
    let io = Tensors::read("io.safetensors")?;
    let logits = model(0, device)?.forward(io.tensor("images", device)?).class;
    let mut comparison = Comparison::default();
    comparison.close("dense", &host(logits)?, &io.values("logits_dense")?, logits_tolerance(device));
    comparison.finish()
}

pub(super) fn soft_logits(device: &Device) -> Checked {
    let io = Tensors::read("io.safetensors")?;
    let model = model(0, device)?;
    let [full, head, uniform] = VARIANTS;
    let cases = [
        ("soft_full", full, &SEARCHED[..]),
        ("soft_no_token", full, &["head_dim", "hidden"]),
        ("soft_attn_only", full, &["head_dim"]),
        ("soft_mlp_only", full, &["hidden"]),
        ("soft_token_only", full, &["tokens"]),
        ("soft_head", head, &SEARCHED),
        ("soft_uniform", uniform, &SEARCHED),
    ];
    let mut comparison = Comparison::default();
    for (name, variant, searched) in cases {
        let gated = model.gate(&masks(&model, variant, searched, 0)?);
        let logits = gated.forward(io.tensor("images", device)?).class;
        comparison.close(
            name,
            &host(logits)?,
            &io.values(&format!("logits_{name}"))?,
            logits_tolerance(device),
        );
    }
    comparison.finish()
}

/// A search starts from the same network as that of the reference.
pub(super) fn start_of_a_search(device: &Device) -> Checked {
    let io = Tensors::read("io.safetensors")?;
    let model = model(0, device)?;
    let dimensions = describe(&model)?.into_iter().filter(|dimension| SEARCHED.contains(&dimension.name()));
    let fresh: Vec<_> = dimensions.map(|d| (d.clone(), spec(d.name(), Granularity::Unit))).collect();
    let start = MaskSet::new(&fresh, device);
    let logits = model.gate(&start).forward(io.tensor("images", device)?).class;
    let mut comparison = Comparison::default();
    comparison.close("soft_init", &host(logits)?, &io.values("logits_soft_init")?, logits_tolerance(device));
    comparison.finish()
}

/// Of every block, dense and under soft masks.
pub(super) fn activations(device: &Device) -> Checked {
    let io = Tensors::read("io.safetensors")?;
    let model = model(0, device)?;
    let soft = masks(&model, VARIANTS[0], &SEARCHED, 0)?;
    let mut comparison = Comparison::default();
    for (run, masks) in [("dense", MaskSet::default()), ("soft_full", soft)] {
        let mut x: Tensor<3> = io.tensor("dense.tokens_in", device)?;
        for (index, block) in model.gate(&masks).blocks.iter().enumerate() {
            x = block.forward(x, &mut TokenSizes::default());
            let name = format!("{run}.block_out.{index}");
            comparison.close(&name, &host(x.clone())?, &io.values(&name)?, logits_tolerance(device));
        }
    }
    comparison.finish()
}
