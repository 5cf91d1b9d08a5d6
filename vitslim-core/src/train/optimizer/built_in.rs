//! How the parameters of the built-in networks are trained, written down: no change of what says so may change it.

use std::collections::HashMap;
use std::fmt::Write;

use burn::module::ParamId;
use burn::tensor::Device;

use super::layer_rates;
use crate::data::ImageShape;
use crate::models::vit::{GlobalPool, MlpLayer};
use crate::models::{
    Architecture, ConvNext, ConvNextConfig, DistilledVit, Parameter, Swin, SwinConfig, Vit, VitConfig,
};

/// Whether each parameter decays and freezes, and what `layer_decay: 0.5` multiplies its learning rate by.
fn listed<A: Architecture>(name: &str, config: &A::Config) -> String {
    let model = A::init(config, &Device::flex()).unwrap();
    let layers = layer_rates(&model, ImageShape { channels: 3, size: 8 }, 0.5).unwrap().into_iter();
    let rates: HashMap<ParamId, f64> = layers
        .flat_map(|(rate, layer)| layer.into_iter().map(move |parameter| (parameter.id, rate)))
        .collect();
    let mut text = format!("{name}\n");
    for parameter in Parameter::annotated(&model) {
        let decays = if parameter.decays() { "decays" } else { "spared" };
        let freezes = if parameter.freezes() { "frozen" } else { "trained" };
        writeln!(text, "    {}: {decays}, {freezes}, {}", parameter.path, rates[&parameter.id]).unwrap();
    }
    text
}

#[test]
fn built_in_networks_are_trained_as_written_down() {
    let vit = VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 2, ..VitConfig::default() };
    let published = VitConfig {
        mlp_layer: MlpLayer::SwiGLUPacked,
        qk_norm: true,
        init_values: Some(1e-5),
        reg_tokens: 4,
        pre_norm: true,
        global_pool: GlobalPool::Avg,
        ..vit.clone()
    };
    let swin = |window| SwinConfig {
        image_size: 8,
        patch_size: 2,
        dim: 4,
        depths: vec![1, 2],
        heads: vec![1, 2],
        window,
        ..SwinConfig::default()
    };
    let convnext =
        ConvNextConfig { image_size: 8, dims: vec![4, 6], depths: vec![1, 2], ..ConvNextConfig::default() };
    insta::assert_snapshot!(
        [
            listed::<Vit>("vit", &vit),
            listed::<Vit>("vit, with what published ones have", &published),
            listed::<DistilledVit>("deit_distilled", &vit),
            listed::<Swin>("swin, windows of one patch", &swin(1)),
            listed::<Swin>("swin", &swin(2)),
            listed::<ConvNext>("convnext", &convnext),
        ]
        .concat()
    );
}
