//! Logits and activations, dense and under soft masks.

use burn::tensor::{Device, Tensor};
use vitslim_core::models::{Architecture, Vit};
use vitslim_core::slim::{Activation, MaskSet, MaskSpec, Slimmable, describe};

use super::fixture::{LOGITS, Tensors, assert_close, host, masks, model};

#[test]
fn dense_logits() {
    let device = Device::flex();
    let io = Tensors::read("io.safetensors");
    let logits = model(0, &device).forward(io.tensor("images", &device)).class;
    assert_close("dense", &host(logits), &io.values("logits_dense"), LOGITS);
}

#[test]
fn soft_logits_of_every_combination() {
    let device = Device::flex();
    let io = Tensors::read("io.safetensors");
    let model = model(0, &device);
    let all = ["head_dim", "hidden", "tokens"];
    let cases: [(&str, &str, &[&str]); 7] = [
        ("soft_full", "full", &all),
        ("soft_no_token", "full", &["head_dim", "hidden"]),
        ("soft_attn_only", "full", &["head_dim"]),
        ("soft_mlp_only", "full", &["hidden"]),
        ("soft_token_only", "full", &["tokens"]),
        ("soft_head", "head", &all),
        ("soft_uniform", "uniform", &all),
    ];
    for (name, variant, searched) in cases {
        let gated = model.gate(&masks(&model, variant, searched, 0));
        let logits = gated.forward(io.tensor("images", &device)).class;
        assert_close(name, &host(logits), &io.values(&format!("logits_{name}")), LOGITS);
    }
}

#[test]
fn a_search_starts_where_the_reference_starts() {
    let device = Device::flex();
    let io = Tensors::read("io.safetensors");
    let model = model(0, &device);
    let fresh: Vec<_> = describe(&model)
        .unwrap()
        .into_iter()
        .filter(|dimension| dimension.name() != "width")
        .map(|dimension| {
            let tokens = MaskSpec { activation: Activation::Tanh, init: 3.0, ..MaskSpec::default() };
            let spec = if dimension.is_tokens() { tokens } else { MaskSpec::default() };
            (dimension, spec)
        })
        .collect();
    let start = MaskSet::new(&fresh, &device);
    let logits = model.gate(&start).forward(io.tensor("images", &device)).class;
    assert_close("soft_init", &host(logits), &io.values("logits_soft_init"), LOGITS);
}

#[test]
fn activations_of_every_block() {
    let device = Device::flex();
    let io = Tensors::read("io.safetensors");
    let model = model(0, &device);
    let soft = masks(&model, "full", &["head_dim", "hidden", "tokens"], 0);
    for (run, masks) in [("dense", MaskSet::default()), ("soft_full", soft)] {
        let gated: Vit = model.gate(&masks);
        let mut x: Tensor<3> = io.tensor("dense.tokens_in", &device);
        for (index, block) in gated.blocks.iter().enumerate() {
            x = block.forward(x);
            let name = format!("{run}.block_out.{index}");
            assert_close(&name, &host(x.clone()), &io.values(&name), LOGITS);
        }
    }
}
