//! Exported networks compute what vitslim computes: of every built-in architecture, of the one in `examples/own_architecture`, and of
//! the layers that neither has, dense and cut, with onnxruntime and PyTorch.

#[path = "../../../examples/own_architecture/src/block.rs"]
mod block;
#[path = "../../../examples/own_architecture/src/config.rs"]
mod config;
mod features;
mod layers;
#[path = "../../../examples/own_architecture/src/net.rs"]
mod net;
mod read_back;
mod recorded;

use std::path::Path;
use std::process::Command;

use burn::tensor::{Device, Distribution, Tensor, TensorData};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::{Value, json};
use vitslim_core::data::ImageShape;
use vitslim_core::export::{OnnxSetting, to_onnx, to_pytorch};
use vitslim_core::models::vit::{GlobalPool, Pairing, RopeConfig};
use vitslim_core::models::{Architecture, ConvNext, DistilledVit, Swin, Vit, VitConfig, random_model};
use vitslim_core::slim::{Cut, CutTokens, Dimension, NormStatistics, Plan, describe};

const IMAGE: ImageShape = ImageShape { channels: 3, size: 32 };

/// As many as a batch that is not one of those that are recorded.
const IMAGES: usize = 7;

/// What the safetensors file says of a network, as far as PyTorch reads it.
const DESCRIPTION: &str = r#"{"network":{"classes":["a","b","c"]}}"#;

/// A plan that keeps about half of everything, by chance: heads of all sizes, and tokens that go early.
fn about_half(dimensions: &[Dimension], rng: &mut impl Rng) -> Plan {
    let mut plan = Plan::whole(dimensions);
    let mut tokens: Option<Vec<usize>> = None;
    for (dimension, cut) in dimensions.iter().zip(&mut plan.cuts) {
        if dimension.is_tokens() {
            let mut left = tokens.unwrap_or_else(|| cut.keep.clone());
            left.retain(|token| *token == 3 || rng.random_bool(0.8));
            cut.keep.clone_from(&left);
            tokens = Some(left);
        } else {
            cut.keep.retain(|unit| *unit == 0 || rng.random_bool(0.5));
        }
    }
    plan
}

/// The plan after all units of the first group of each dimension called `name` in `places` went, or of all groups.
fn without(mut plan: Plan, places: &[&str], all: bool) -> Plan {
    for cut in plan.cuts.iter_mut().filter(|cut| places.contains(&cut.dimension.as_str())) {
        let first = if all { usize::MAX } else { cut.of[0] };
        cut.keep.retain(|unit| *unit >= first);
    }
    plan
}

/// What comes out of modules of a network, part by part as vitslim computes it, by their paths.
type Inside<A> = fn(&A, Tensor<4>) -> Vec<(String, TensorData)>;

/// Writes networks of the architecture `A` into a folder.
struct Written<'a, A> {
    folder: &'a Path,
    inside: Inside<A>,
}

impl<A: Architecture> Written<'_, A> {
    /// Writes `model` cut by `plan` in both formats, with images, their logits, and what comes out of modules.
    fn write(&self, name: &str, model: &A, plan: &Plan) {
        self.write_for_timm(name, model, plan, None);
    }

    /// The same, of a network that timm holds: its `VisionTransformer` with the arguments `timm`.
    fn write_for_timm(&self, name: &str, model: &A, plan: &Plan, timm: Option<Value>) {
        let model = model.slim(plan).unwrap();
        let shape = [IMAGES, IMAGE.channels, IMAGE.size, IMAGE.size];
        let images = Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
        let logits = model.forward(images.clone()).mean().into_data().try_into_vec::<f32>().unwrap();
        assert!(logits.iter().all(|logit| logit.is_finite()), "{name}");
        let inside = (self.inside)(&model, images.clone());
        let features: Vec<String> = inside.iter().map(|(path, _)| path.clone()).collect();

        let write = |suffix: &str, bytes: &[u8]| {
            std::fs::write(self.folder.join(format!("{name}{suffix}")), bytes).unwrap();
        };
        let metadata = [("classes", r#"["a","b","c"]"#.to_owned())];
        let setting = OnnxSetting { features: &features, metadata: &metadata, ..OnnxSetting::default() };
        let whole = to_onnx(&model, plan, IMAGE, &setting).unwrap();
        write(".onnx", &whole.network);
        assert!(whole.weights.is_none());
        // The same with its weights in a file of their own.
        if name == "vit_cut" {
            let apart = format!("{name}_apart.onnx");
            let setting = OnnxSetting { name: &apart, most_bytes: whole.network.len() - 1, ..setting };
            let parts = to_onnx(&model, plan, IMAGE, &setting).unwrap();
            write("_apart.onnx", &parts.network);
            write("_apart.onnx.data", &parts.weights.unwrap());
        }

        let files = to_pytorch(&model, plan, IMAGE, &features, name, "A test.", DESCRIPTION).unwrap();
        write(".py", files.text.as_bytes());
        write(".safetensors", &files.weights);
        let images = images.into_data().try_into_vec::<f32>().unwrap();
        let feature = |(path, data): (String, TensorData)| {
            let shape = data.shape().as_slice().to_vec();
            (path, json!({ "shape": shape, "values": data.try_into_vec::<f32>().unwrap() }))
        };
        let features: serde_json::Map<_, _> = inside.into_iter().map(feature).collect();
        let mut io = json!({ "shape": shape, "images": images, "logits": logits, "features": features });
        if let Some(timm) = timm {
            io["timm"] = timm;
        }
        write(".json", io.to_string().as_bytes());
    }

    /// Writes the network of `config`, dense and cut.
    fn write_both(&self, name: &str, config: &A::Config) -> (A, Plan) {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let model = random_model::<A>(config, &mut rng, &Device::flex()).unwrap();
        let dimensions = describe(&model).unwrap();
        self.write(&format!("{name}_dense"), &model, &Plan::whole(&dimensions));
        let plan = about_half(&dimensions, &mut rng);
        self.write(&format!("{name}_cut"), &model, &plan);
        (model, plan)
    }
}

/// `plan`, which cuts tokens, and merges them.
fn merging(plan: Plan) -> Plan {
    let is_cut = |cut: &Cut| cut.dimension.ends_with("tokens") && cut.keep.len() < cut.units();
    assert!(plan.cuts.iter().any(is_cut), "no token is cut");
    Plan { tokens: CutTokens::Merge, ..plan }
}

/// Whether there is a Python with what the check needs: `VITSLIM_PYTHON`, or `python3`.
fn python() -> Option<String> {
    let python = std::env::var("VITSLIM_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let found = Command::new(&python)
        .args(["-c", "import torch, timm, safetensors, onnx, onnxruntime, onnxscript"])
        .output();
    found.is_ok_and(|output| output.status.success()).then_some(python)
}

#[test]
fn onnxruntime_and_pytorch_compute_the_logits_of_vitslim() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let vit = VitConfig {
        image_size: 32,
        patch_size: 8,
        classes: 3,
        dim: 24,
        depth: 3,
        heads: 3,
        ..VitConfig::default()
    };
    let vits = Written::<Vit> { folder, inside: features::of_vit };
    let (model, plan) = vits.write_both("vit", &vit);
    let heads = ["blocks.0.attn.head_dim"];
    vits.write("vit_empty_head", &model, &without(plan.clone(), &heads, false));
    vits.write("vit_merged", &model, &merging(plan.clone()));
    let branches = ["blocks.1.attn.head_dim", "blocks.2.mlp.hidden"];
    let mut plan = without(plan, &branches, true);
    vits.write("vit_empty_branches", &model, &plan);
    // A matrix with one row lies in memory as with one column.
    for dimension in ["blocks.0.attn.head_dim", "blocks.0.mlp.hidden"] {
        plan.get_mut(dimension).unwrap().keep = vec![3];
    }
    vits.write("vit_single_units", &model, &plan);
    // An attention, an MLP and a whole block are gone.
    let gone =
        ["blocks.0.mlp_branch", "blocks.0.mlp.hidden", "blocks.1.attn_branch", "blocks.1.attn.head_dim"];
    let block = ["attn_branch", "mlp_branch", "block_branch", "attn.head_dim", "mlp.hidden"];
    let gone: Vec<String> =
        gone.map(str::to_owned).into_iter().chain(block.map(|of| format!("blocks.2.{of}"))).collect();
    let gone: Vec<&str> = gone.iter().map(String::as_str).collect();
    Written::<Vit> { folder, inside: |_, _| Vec::new() }.write(
        "vit_without_branches",
        &model,
        &without(plan, &gone, true),
    );
    // All hidden units of each block, and a quarter of them: the `mlp_ratio` of timm says that.
    let dimensions = describe(&model).unwrap();
    for (name, ratio) in [("vit_for_timm", 4), ("vit_of_fewer_units_for_timm", 1)] {
        let mut plan = Plan::whole(&dimensions);
        for cut in plan.cuts.iter_mut().filter(|cut| cut.dimension.ends_with("hidden")) {
            cut.keep = (0..24 * ratio).map(|unit| unit * 4 / ratio).collect();
        }
        let timm = json!({
            "img_size": 32,
            "patch_size": 8,
            "num_classes": 3,
            "embed_dim": 24,
            "depth": 3,
            "num_heads": 3,
            "mlp_ratio": ratio,
        });
        vits.write_for_timm(name, &model, &plan, Some(timm));
    }
    // Two thirds of the width, and of three heads two.
    let mut plan = Plan { norm: NormStatistics::Sliced, ..Plan::whole(&dimensions) };
    for cut in &mut plan.cuts {
        match cut.dimension.rsplit('.').next() {
            Some("width") => cut.keep.retain(|unit| unit % 3 > 0),
            Some("head_dim") => cut.keep.retain(|unit| unit / 8 != 1),
            Some("hidden") => cut.keep.truncate(32),
            _ => {}
        }
    }
    let timm = json!({
        "img_size": 32,
        "patch_size": 8,
        "num_classes": 3,
        "embed_dim": 16,
        "depth": 3,
        "num_heads": 2,
        "mlp_ratio": 2,
    });
    vits.write_for_timm("vit_of_less_width_for_timm", &model, &plan, Some(timm));
    let turned = Written::<Vit> { folder, inside: |_, _| Vec::new() };
    for (name, pairing) in [("halves", Pairing::Halves), ("neighbours", Pairing::Neighbours)] {
        let rope = Some(RopeConfig { pairing, ..RopeConfig::default() });
        let config =
            VitConfig { rope, qk_norm: true, v_dim: Some(6), global_pool: GlobalPool::Avg, ..vit.clone() };
        let (model, plan) = turned.write_both(name, &config);
        turned.write(&format!("{name}_merged"), &model, &merging(plan));
    }
    let one_colour = VitConfig { qkv_bias: false, ..vit.clone() };
    let distilled = Written::<DistilledVit> { folder, inside: |_, _| Vec::new() };
    distilled.write_both("deit_distilled", &one_colour);
    Written::<Swin> { folder, inside: features::of_swin }.write_both("swin", &features::swin());
    Written::<ConvNext> { folder, inside: features::of_convnext }
        .write_both("convnext", &features::convnext());
    let parallel = Written::<net::ParallelNet> { folder, inside: |_, _| Vec::new() };
    let (model, plan) = parallel.write_both("parallel", &features::parallel());
    parallel.write("parallel_merged", &model, &merging(plan));
    Written::<layers::Layers> { folder, inside: layers::Layers::inside }.write_both("layers", &vit);

    let Some(python) = python() else {
        eprintln!(
            "skipped: there is no Python with what data/export/check.py needs; VITSLIM_PYTHON names one"
        );
        return;
    };
    let check = Path::new(env!("CARGO_MANIFEST_DIR")).join("../vitslim-core/data/export/check.py");
    let output = Command::new(python).arg(check).arg(folder).output().unwrap();
    let (said, errors) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{said}");
    assert!(output.status.success(), "{said}\n{errors}");
    assert_eq!(said.lines().count(), 2 * 27 + 4 + 3, "{said}");
}
