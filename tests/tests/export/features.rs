//! Outputs of modules: their values, which tokens and units of the dense network they have, and what has none.

use burn::tensor::TensorData;
use miette::Diagnostic;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use safetensors::SafeTensors;
use serde_json::{Value, json};
use vitslim_core::export::{ExportError, OnnxSetting, to_onnx, to_pytorch};
use vitslim_core::models::{
    ConvNext, ConvNextConfig, DistilledVit, Swin, SwinConfig, Vit, VitConfig, random_model,
};
use vitslim_core::nn::TokenSizes;
use vitslim_core::prelude::*;
use vitslim_core::slim::{Plan, describe};

use super::config::ParallelConfig;
use super::net::ParallelNet;
use super::{DESCRIPTION, IMAGE, about_half, without};

/// What comes out of the blocks, one after the other, and of the norm.
pub fn of_vit(model: &Vit, images: Tensor<4>) -> Vec<(String, TensorData)> {
    let (mut x, mut sizes) = (model.embed(images), TokenSizes::default());
    let mut found = Vec::new();
    for (number, block) in model.blocks.iter().enumerate() {
        x = block.forward(x, &mut sizes);
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

pub(super) fn swin() -> SwinConfig {
    SwinConfig {
        image_size: 32,
        classes: 3,
        dim: 12,
        depths: vec![2, 2],
        heads: vec![2, 3],
        window: 4,
        ..SwinConfig::default()
    }
}

pub(super) fn convnext() -> ConvNextConfig {
    ConvNextConfig {
        image_size: 32,
        classes: 3,
        dims: vec![8, 12],
        depths: vec![2, 1],
        ..ConvNextConfig::default()
    }
}

/// A network of `config` and a plan that cuts about half of it.
fn made<A: Architecture>(config: &A::Config) -> (A, Plan) {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let model = random_model::<A>(config, &mut rng, &Device::flex()).unwrap();
    let plan = about_half(&describe(&model).unwrap(), &mut rng);
    (model, plan)
}

fn metadata(weights: &[u8]) -> Value {
    let (_, header) = SafeTensors::read_metadata(weights).unwrap();
    serde_json::from_str(&header.metadata().as_ref().unwrap()["vitslim"]).unwrap()
}

pub(super) fn parallel() -> ParallelConfig {
    ParallelConfig {
        image_size: 32,
        classes: 3,
        patch_size: 8,
        dim: 24,
        depth: 2,
        hidden: 20,
        ..ParallelConfig::default()
    }
}

/// What the exported network of `config`, cut by about half, says of the outputs of `modules`; and the plan.
fn described<A: Architecture>(config: &A::Config, modules: &[&str]) -> (Value, Plan) {
    let (model, plan) = made::<A>(config);
    let modules: Vec<String> = modules.iter().map(|&module| module.to_owned()).collect();
    let model = model.slim(&plan).unwrap();
    let files = to_pytorch(&model, &plan, IMAGE, &modules, "net", "A test.", DESCRIPTION).unwrap();
    let metadata = metadata(&files.weights);
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

    // Before the first gate, a number of tokens does not tell which they are.
    let (found, _) = described::<Vit>(&VitConfig { pre_norm: true, ..vit() }, &["norm_pre", "blocks.0"]);
    assert_eq!(found["norm_pre"]["shape"][1], 17);
    assert!(found["norm_pre"]["tokens"].is_null() && found["blocks.0"]["tokens"].is_object(), "{found}");

    let (found, plan) = described::<Swin>(&swin(), &["layers.0", "layers.1"]);
    for (stage, (patches, of)) in [(64, 12), (16, 24)].into_iter().enumerate() {
        let dimension = format!("layers.{stage}.width");
        let keep = &plan.get(&dimension).unwrap().keep;
        let units = json!({ "dimension": dimension, "of": of, "keep": keep });
        let expected = json!({ "shape": ["batch", patches, keep.len()], "units": units });
        assert_eq!(found[format!("layers.{stage}")], expected);
    }

    let (found, plan) = described::<ConvNext>(&convnext(), &["stages.1"]);
    let keep = &plan.get("stages.1.width").unwrap().keep;
    let units = json!({ "dimension": "stages.1.width", "of": 12, "keep": keep });
    assert_eq!(found, json!({ "stages.1": { "shape": ["batch", 4, 4, keep.len()], "units": units } }));
}

#[test]
fn an_architecture_of_ones_own_has_outputs_without_saying_so() {
    let config = parallel();
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

/// What is said of the output of `module` in `model`, cut by `plan`, that cannot be.
#[track_caller]
fn refused<A: Architecture>(model: &A, plan: &Plan, module: &str) -> (String, String) {
    let features = [module.to_owned()];
    let setting = OnnxSetting { features: &features, ..OnnxSetting::default() };
    let error = to_onnx(&model.slim(plan).unwrap(), plan, IMAGE, &setting).unwrap_err();
    assert!(matches!(error, ExportError::Feature { .. }), "{error}");
    (error.to_string(), error.help().unwrap().to_string())
}

/// Of an empty branch a bias is left, which is added to all that goes by.
#[test]
fn an_empty_branch_has_no_output_and_its_block_has() {
    let blocks = "outputs can be of `patch_embed`, `patch_embed.proj`, `blocks`, `blocks.*`, `norm`, `head`";
    let empty =
        ["blocks.0.attn.head_dim", "blocks.0.mlp.hidden", "blocks.1.attn.head_dim", "blocks.2.mlp.hidden"];
    let (model, plan) = made::<Vit>(&vit());
    let plan = without(plan, &empty, true);
    for module in ["blocks.0.attn", "blocks.0.mlp", "blocks.1.attn", "blocks.2.mlp"] {
        let (error, help) = refused(&model, &plan, module);
        assert!(error.contains("what goes into it is added to what comes out of it"), "{module}: {error}");
        assert_eq!(help, blocks);
    }
    let model = model.slim(&plan).unwrap();
    let shape = [2, IMAGE.channels, IMAGE.size, IMAGE.size];
    let inside = of_vit(&model, Tensor::<4>::zeros(shape, &Device::flex()));
    let features: Vec<String> = inside.into_iter().map(|(path, _)| path).collect();
    to_onnx(&model, &plan, IMAGE, &OnnxSetting { features: &features, ..OnnxSetting::default() }).unwrap();

    // Without biases nothing is left.
    let (model, plan) = made::<Vit>(&VitConfig { proj_bias: false, ..vit() });
    let plan = without(plan, &empty, true);
    let (error, _) = refused(&model, &plan, "blocks.0");
    assert!(error.contains("nothing is left of it: take the module before"), "{error}");
}

/// A norm and layers, which the block around adds to what goes in.
#[derive(Module, Debug, Slimmable)]
#[slim(outer = [width])]
struct Branch {
    #[slim(output = [width], gate)]
    norm: RmsNorm,
    #[slim(input = [width], output = [hidden])]
    fc1: Linear,
    #[slim(input = [hidden], gate, output = [width], gate)]
    fc2: Linear,
}

#[derive(Module, Debug, Slimmable)]
struct BranchedBlock {
    #[slim]
    first: Branch,
    #[slim]
    second: Branch,
}

#[derive(Module, Debug, Slimmable)]
struct Branched {
    #[slim(output = [width], gate)]
    embed: Conv2d,
    #[slim]
    blocks: Vec<BranchedBlock>,
    #[slim(output = [width], gate)]
    norm: RmsNorm,
    #[slim(input = [width])]
    head: Linear,
}

impl Branch {
    fn new(config: &ParallelConfig, device: &Device) -> Self {
        Self {
            norm: RmsNormConfig::new(config.dim).init(device),
            fc1: LinearConfig::new(config.dim, config.hidden).init(device),
            fc2: LinearConfig::new(config.hidden, config.dim).init(device),
        }
    }

    fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        self.fc2.forward(self.fc1.forward(self.norm.forward(x)).tanh())
    }
}

impl Architecture for Branched {
    type Config = ParallelConfig;

    fn presets() -> Vec<(&'static str, ParallelConfig)> {
        Vec::new()
    }

    fn init(config: &ParallelConfig, device: &Device) -> Result<Self, ConfigError> {
        let block =
            |_| BranchedBlock { first: Branch::new(config, device), second: Branch::new(config, device) };
        let patch = [config.patch_size; 2];
        Ok(Self {
            embed: Conv2dConfig::new([config.channels, config.dim], patch).with_stride(patch).init(device),
            blocks: (0..config.depth).map(block).collect(),
            norm: RmsNormConfig::new(config.dim).init(device),
            head: LinearConfig::new(config.dim, config.classes).init(device),
        })
    }

    fn forward(&self, images: Tensor<4>) -> Logits {
        let mut x = self.embed.forward_patches(images);
        for block in &self.blocks {
            x = x.clone() + block.first.forward(x);
            x = x.clone() + block.second.forward(x);
        }
        let mean = self.norm.forward(x).mean_dim(1).squeeze_dim::<2>(1);
        self.head.forward(mean).into()
    }
}

#[test]
fn a_branch_that_its_parent_adds_has_no_output() {
    let config = parallel();
    let (model, plan) = made::<Branched>(&config);
    for module in ["blocks.0.first", "blocks.0.second", "blocks.1.first", "blocks.1.second"] {
        let (error, help) = refused(&model, &plan, module);
        assert!(error.contains("what goes into it is added to what comes out of it"), "{module}: {error}");
        assert!(help.contains("`blocks.*`, `norm`"), "{help}");
    }
    let (found, plan) = described::<Branched>(&config, &["blocks.0", "blocks"]);
    let keep = &plan.get("width").unwrap().keep;
    let units = json!({ "dimension": "width", "of": 24, "keep": keep });
    let expected = json!({ "shape": ["batch", 16, keep.len()], "units": units });
    assert_eq!(found, json!({ "blocks.0": expected, "blocks": expected }));
}

#[test]
fn what_has_no_output_is_told_with_what_has_one() {
    fn refused<A: Architecture>(config: &A::Config, module: &str) -> (String, String) {
        let (model, plan) = made::<A>(config);
        super::features::refused(&model, &plan, module)
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
