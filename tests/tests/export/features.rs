//! Outputs of modules: their values, which tokens and units of the dense network they have, and what has none.

use burn::tensor::{Device, Tensor, TensorData};
use miette::Diagnostic;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use vitslim_core::export::{ExportError, OnnxSetting, to_onnx, to_pytorch};
use vitslim_core::models::{
    Architecture, ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig, random_model,
};
use vitslim_core::slim::{Plan, describe};

use super::config::ParallelConfig;
use super::net::ParallelNet;
use super::{DESCRIPTION, IMAGE, about_half};

/// What comes out of the blocks, one after the other, and of the norm.
pub fn of_vit(model: &Vit, images: Tensor<4>) -> Vec<(String, TensorData)> {
    let mut x = model.embed(images);
    let mut found = Vec::new();
    for (number, block) in model.blocks.iter().enumerate() {
        x = block.forward(x);
        found.push((format!("blocks.{number}"), x.to_data()));
    }
    found.push(("blocks".to_owned(), x.to_data()));
    found.push(("norm".to_owned(), model.norm.as_ref().unwrap().forward(x).into_data()));
    found
}

/// What comes out of the stages.
pub fn of_swin(model: &Swin, images: Tensor<4>) -> Vec<(String, TensorData)> {
    let mut x = model.patch_embed.forward(images);
    let mut found = vec![("patch_embed".to_owned(), x.to_data())];
    for (number, stage) in model.layers.iter().enumerate() {
        x = stage.forward(x);
        found.push((format!("layers.{number}"), x.to_data()));
    }
    found.push(("norm".to_owned(), model.norm.forward(x).into_data()));
    found
}

/// What comes out of the stem, the first block and the stages.
pub fn of_convnext(model: &ConvNext, images: Tensor<4>) -> Vec<(String, TensorData)> {
    let (conv, norm) = &model.stem;
    let mut x = norm.forward(conv.forward_channels_last(images));
    let first = model.stages[0].blocks[0].forward(x.clone());
    let mut found =
        vec![("stem".to_owned(), x.to_data()), ("stages.0.blocks.0".to_owned(), first.into_data())];
    for (number, stage) in model.stages.iter().enumerate() {
        x = stage.forward(x);
        found.push((format!("stages.{number}"), x.to_data()));
    }
    found
}

fn vit() -> VitConfig {
    VitConfig {
        image_size: 32,
        patch_size: 8,
        classes: 3,
        dim: 24,
        depth: 3,
        heads: 3,
        ..VitConfig::default()
    }
}

/// A network of `config` and a plan that cuts about half of it.
fn made<A: Architecture>(config: &A::Config) -> (A, Plan) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let model = random_model::<A>(config, &mut rng, &Device::flex()).unwrap();
    let plan = about_half(&describe(&model).unwrap(), &mut rng);
    (model, plan)
}

/// What the exported network of `config`, cut by about half, says of the outputs of `modules`; and the plan.
fn described<A: Architecture>(config: &A::Config, modules: &[&str]) -> (Value, Plan) {
    let (model, plan) = made::<A>(config);
    let modules: Vec<String> = modules.iter().map(|&module| module.to_owned()).collect();
    let model = model.slim(&plan).unwrap();
    let files = to_pytorch(&model, &plan, IMAGE, &modules, "net", "A test.", DESCRIPTION).unwrap();
    let (_, header) = SafeTensors::read_metadata(&files.weights).unwrap();
    let metadata: Value = serde_json::from_str(&header.metadata().as_ref().unwrap()["vitslim"]).unwrap();
    assert_eq!(metadata["network"]["classes"], json!(["a", "b", "c"]));
    (metadata["network"]["features"].clone(), plan)
}

#[test]
fn outputs_say_which_tokens_and_units_of_the_dense_network_they_have() {
    let (found, plan) = described::<Vit>(&vit(), &["blocks.0", "blocks.2", "norm", "head"]);
    let keep = |path: &str| &plan.get(path).unwrap().keep;
    let (first, last) = (keep("blocks.0.tokens"), keep("blocks.2.tokens"));
    assert!(first.len() < 16 && last.len() < first.len(), "{plan:?}");
    let width = keep("width");
    let output = |tokens: &[usize]| {
        json!({
            "shape": ["batch", 1 + tokens.len(), width.len()],
            "tokens": { "prefix": 1, "keep": tokens, "grid": [4, 4] },
            "units": { "dimension": "width", "of": 24, "keep": width },
        })
    };
    let head = json!({ "shape": ["batch", 3] });
    let expected =
        json!({ "blocks.0": output(first), "blocks.2": output(last), "norm": output(last), "head": head });
    assert_eq!(found, expected);

    let config = SwinConfig {
        image_size: 32,
        classes: 3,
        dim: 12,
        depths: vec![2, 2],
        heads: vec![2, 3],
        window: 4,
        ..SwinConfig::default()
    };
    let (found, plan) = described::<Swin>(&config, &["layers.0", "layers.1"]);
    for (stage, (patches, of)) in [(64, 12), (16, 24)].into_iter().enumerate() {
        let dimension = format!("layers.{stage}.width");
        let keep = &plan.get(&dimension).unwrap().keep;
        let units = json!({ "dimension": dimension, "of": of, "keep": keep });
        let expected = json!({ "shape": ["batch", patches, keep.len()], "units": units });
        assert_eq!(found[format!("layers.{stage}")], expected);
    }

    let config = ConvNextConfig {
        image_size: 32,
        classes: 3,
        dims: vec![8, 12],
        depths: vec![2, 1],
        ..ConvNextConfig::default()
    };
    let (found, plan) = described::<ConvNext>(&config, &["stages.1"]);
    let keep = &plan.get("stages.1.width").unwrap().keep;
    let units = json!({ "dimension": "stages.1.width", "of": 12, "keep": keep });
    assert_eq!(found, json!({ "stages.1": { "shape": ["batch", 4, 4, keep.len()], "units": units } }));
}

#[test]
fn an_architecture_of_ones_own_has_outputs_without_saying_so() {
    let config = ParallelConfig {
        image_size: 32,
        classes: 3,
        patch_size: 8,
        dim: 24,
        depth: 2,
        hidden: 20,
        ..ParallelConfig::default()
    };
    let (found, plan) = described::<ParallelNet>(&config, &["blocks.1"]);
    let keep = |path: &str| &plan.get(path).unwrap().keep;
    let (tokens, width) = (keep("blocks.1.tokens"), keep("width"));
    let expected = json!({
        "shape": ["batch", tokens.len(), width.len()],
        "tokens": { "prefix": 0, "keep": tokens, "grid": [4, 4] },
        "units": { "dimension": "width", "of": 24, "keep": width },
    });
    assert_eq!(found["blocks.1"], expected);
}

#[test]
fn what_has_no_output_is_told_with_what_has_one() {
    fn refused<A: Architecture>(config: &A::Config, module: &str) -> (String, String) {
        let (model, plan) = made::<A>(config);
        let features = [module.to_owned()];
        let setting = OnnxSetting { features: &features, ..OnnxSetting::default() };
        let error = to_onnx(&model.slim(&plan).unwrap(), &plan, IMAGE, &setting).unwrap_err();
        assert!(matches!(error, ExportError::Feature { .. }), "{error}");
        (error.to_string(), error.help().unwrap().to_string())
    }
    let modules = "outputs can be of `patch_embed`, `patch_embed.proj`, `blocks`, `blocks.*`, `norm`, `head`";
    for (module, said) in [
        ("block.2", "there is no module of that path; did you mean `blocks.2`?"),
        ("blocks.3", "there is no module of that path"),
        ("", "there is no module of that path"),
        ("pos_embed", "there is no module of that path"),
        ("blocks.0.attn", "`blocks.0.norm1` acts beside it"),
        ("blocks.0.mlp", "`blocks.0.norm2` acts beside it"),
        ("blocks.0.mlp.fc1", "acts beside it"),
    ] {
        let (error, help) = refused::<Vit>(&vit(), module);
        assert!(error.starts_with(&format!("`{module}` cannot be an output: ")), "{error}");
        assert!(error.contains(said), "{error}");
        assert_eq!(help, modules);
    }
    let (error, help) = refused::<DistilledVit>(&vit(), "head");
    assert!(error.contains("`head_dist` acts beside it"), "{error}");
    assert!(help.ends_with("`blocks.*`, `norm`"), "{help}");
}
