//! The experiments of `experiments/imagenet` are checked, planned and run as they are, but for an epoch of each stage, a small network
//! and a few images in the layout of ImageNet, with batches, warm-ups and a share held out that suit so few.

use std::path::{Path, PathBuf};

use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use serde_json::Value;
use vitslim_core::models::{Architecture, Swin, SwinConfig, Vit, VitConfig};

use super::data::write_folder;
use super::workspace::{Workspace, said};

fn experiment(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/imagenet").join(format!("{name}.ron"))
}

/// A workspace with a few images of two classes in each of `folders`.
fn workspace(folders: &[&str]) -> Workspace {
    let workspace = Workspace::new();
    for folder in folders {
        write_folder(&workspace.path(folder), "train", 10, "JPEG");
        write_folder(&workspace.path(folder), "val", 3, "JPEG");
    }
    workspace
}

const VIT: &str = "model.config=(patch_size: 56, dim: 24, depth: 2, heads: 2)";
const SWIN: &str = "model.config=(patch_size: 28, dim: 12, depths: [1, 2], heads: [1, 2], window: 4)";

/// Writes trained weights of a network as small as `VIT`, with the names of DeiT.
fn trained_vit(workspace: &Workspace, file: &str) {
    let config =
        VitConfig { patch_size: 56, dim: 24, depth: 2, heads: 2, classes: 2, ..VitConfig::default() };
    save(&Vit::init(&config, &Device::flex()).unwrap(), workspace, file);
}

/// Those of a network as small as `SWIN`.
fn trained_swin(workspace: &Workspace, file: &str) {
    let config = SwinConfig {
        patch_size: 28,
        dim: 12,
        depths: vec![1, 2],
        heads: vec![1, 2],
        window: 4,
        classes: 2,
        ..SwinConfig::default()
    };
    save(&Swin::init(&config, &Device::flex()).unwrap(), workspace, file);
}

fn save<M: ModuleSnapshot>(model: &M, workspace: &Workspace, file: &str) {
    // The content decides what the file is. burn would change the ending.
    let store = SafetensorsStore::from_file(workspace.path("weights.safetensors"));
    model.save_into(&mut store.with_to_adapter(BurnToPyTorchAdapter)).unwrap();
    std::fs::rename(workspace.path("weights.safetensors"), workspace.path(file)).unwrap();
}

/// Stages of an epoch of a few steps.
fn short(stages: &[&str]) -> Vec<String> {
    let sets = ["epochs=1", "batch=6", "accumulate=2"];
    stages.iter().flat_map(|stage| sets.map(|set| format!("{stage}.{set}"))).collect()
}

/// Checks, plans and runs the experiment `name`. Returns its summary.
#[track_caller]
fn try_out(workspace: &Workspace, name: &str, sets: &[String]) -> Value {
    let file = experiment(name);
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set.as_str()]).collect();
    for command in ["check", "plan"] {
        let output = workspace.vitslim(&[&[command, file.to_str().unwrap()], &sets[..]].concat());
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{command} {name}: {printed}{}", said(&output));
        assert!(command != "check" || printed.contains("fit to be run"), "{name}: {printed}");
    }
    workspace.run(&file, &[&sets[..], &["--quiet"]].concat())
}

/// What is changed to run an experiment that searches on ImageNet.
fn searched(config: &str) -> Vec<String> {
    let mut sets = short(&["search", "retrain"]);
    // One of a hundred images is held out, of the few here a fifth. The rate for so small a batch would be below the last one.
    let others = ["data.held_out=0.2", "retrain.schedule.warmup_epochs=1", "retrain.lr_of_batch=6"];
    sets.extend([&[config], &others[..]].concat().into_iter().map(str::to_owned));
    sets
}

/// Checks that all sub-networks of a run were retrained, and how many there are.
#[track_caller]
fn assert_retrained(summary: &Value, count: usize) {
    let subnets = summary["subnets"].as_array().unwrap();
    assert_eq!(subnets.len(), count, "{summary}");
    assert!(subnets.iter().all(|subnet| subnet["top1_retrained"].is_number()), "{summary}");
}

#[test]
fn deit_small_is_searched_and_what_it_leaves_is_transferred() {
    let workspace = workspace(&["imagenet", "cifar_100", "flowers", "cars"]);
    trained_vit(&workspace, "deit_small_patch16_224-cd65a155.pth");
    let summary = try_out(&workspace, "deit_small_vit_slim", &searched(VIT));
    assert_retrained(&summary, 5);
    let slim = &summary["subnets"][4]["params"];
    let mut sets = short(&["pretrain", "search"]);
    sets.push("pretrain.schedule.warmup_epochs=1".to_owned());
    for name in ["cifar_100", "flowers", "cars"] {
        let transferred = try_out(&workspace, &format!("transfer/{name}"), &sets);
        assert_eq!(transferred["dense"]["params"], *slim, "{name}");
    }
}

#[test]
fn deit_of_other_sizes_and_swin_are_searched() {
    let workspace = workspace(&["imagenet"]);
    trained_vit(&workspace, "deit_tiny_patch16_224-a1311bcf.pth");
    trained_vit(&workspace, "deit_base_patch16_224-b5f2ef4d.pth");
    trained_swin(&workspace, "swin_tiny_patch4_window7_224.pth");
    // They have the budgets of DeiT-Small.
    let half = r#"budgets=[Share({ "head_dim": 0.5, "hidden": 0.5, "tokens": 0.5 })]"#;
    for name in ["deit_tiny", "deit_base"] {
        let sets = [searched(VIT), vec![half.to_owned()]].concat();
        assert_retrained(&try_out(&workspace, name, &sets), 1);
    }
    let sets = [searched(VIT), vec!["budgets=[Macs(0.5), Macs(0.25)]".to_owned()]].concat();
    assert_retrained(&try_out(&workspace, "deit_base_all", &sets), 2);
    assert_retrained(&try_out(&workspace, "swin_tiny", &searched(SWIN)), 5);
}

#[test]
fn the_networks_that_they_name_are_as_large_as_the_published_ones() {
    let workspace = Workspace::new();
    for (name, millions) in
        [("deit_tiny", "5.72 M"), ("deit_small_vit_slim", "22.1 M"), ("swin_tiny", "28.3 M")]
    {
        let (file, mut sets) = (experiment(name), short(&["search", "retrain"]));
        let made_up = "data=Random(image_size: 224, channels: 3, classes: 1000, images: 20)";
        let schedule = ["retrain.schedule.warmup_epochs=1", "retrain.lr_of_batch=6"];
        let others = [&schedule[..], &["retrain.augment=None", "model.pretrained=None", made_up]].concat();
        sets.extend(others.into_iter().map(str::to_owned));
        let sets = sets.iter().flat_map(|set| ["--set", set.as_str()]);
        let args: Vec<&str> =
            ["plan", "--no-times", file.to_str().unwrap()].into_iter().chain(sets).collect();
        let output = workspace.vitslim(&args);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{name}: {}", said(&output));
        assert!(printed.contains(millions), "{name}: {printed}");
    }
}
