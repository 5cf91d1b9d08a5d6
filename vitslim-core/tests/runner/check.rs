//! `vitslim check` and `vitslim architectures`: what they tell of an experiment that is fit to be run, and of others.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::data::write_folder;
use super::workspace::{TINY, Workspace, said};

#[test]
fn an_experiment_that_is_fit_to_be_run() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let file = file.to_str().unwrap();
    let output = workspace.vitslim(&["check", file]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{table}{}", said(&output));
    let flat = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "tiny: vit",
        "blocks.*.attn.head_dim 2 2 x 8",
        "blocks.*.mlp.hidden 2 32 33",
        "blocks.*.mlp.hidden lies along blocks.*.mlp.fc1 (output), blocks.*.mlp.fc2 (input, gate)",
        "blocks.*.tokens gates tokens",
        "masked and sliced network are the same for",
        "the mask of every dimension gets a gradient",
        "10 classes",
        "fit to be run",
    ] {
        assert!(flat.contains(part), "{part} is not in\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    assert!(!workspace.path("runs").exists(), "nothing is written");

    let output = workspace.vitslim(&["check", file, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["reasons"], Value::Array(Vec::new()));
    assert!(found["plans"].as_u64().unwrap() > 10 && found["largest_difference"].as_f64().unwrap() < 1e-10);
    let dimensions = found["dimensions"].as_array().unwrap();
    let searched = |name: &str| {
        let of = dimensions.iter().filter(|d| d["path"].as_str().unwrap().ends_with(name));
        of.map(|dimension| dimension["searched"].as_bool().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!((searched("hidden"), searched("width")), (vec![true; 2], vec![false]));
    let hidden = dimensions.iter().find(|d| d["path"] == "blocks.1.mlp.hidden").unwrap();
    // A row of `fc1` with its bias and a column of `fc2`, for 5 tokens.
    assert_eq!((&hidden["params_per_unit"], &hidden["macs_per_unit"]), (&33.into(), &(2 * 16 * 5).into()));
    // A token that the second block cuts is read by the first.
    let tokens = |block: usize| {
        let path = format!("blocks.{block}.tokens");
        dimensions.iter().find(|d| d["path"] == path.as_str()).unwrap()["macs_per_unit"].as_u64().unwrap()
    };
    assert_eq!(tokens(0), 2 * tokens(1));
}

#[test]
fn the_experiments_that_come_with_vitslim_are_fit_to_be_run() {
    let workspace = Workspace::new();
    let mut names = Vec::new();
    for entry in fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments")).unwrap() {
        let file = entry.unwrap().path();
        if file.extension().is_none_or(|extension| extension != "ron") {
            continue;
        }
        let name = file.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut args = vec!["check", file.to_str().unwrap()];
        match name.as_str() {
            "quickstart" | "digits_swin" | "sweep" => {}
            // They need not be there.
            name if name.starts_with("fashion_mnist") || name == "budgets" => {
                args.extend(["--set", "data=Random(image_size: 28, channels: 1, classes: 10, images: 200)"])
            }
            "published" => {
                let data = "data=Random(image_size: 56, channels: 3, classes: 10, images: 200)";
                args.extend(["--set", data, "--set", "model.config.depth=2"]);
            }
            "latency" => {
                let shallow = "model=Sweep(\"network\", [\
                    (architecture: \"vit\", preset: \"deit_tiny_patch16_224\", config: (depth: 1)), \
                    (architecture: \"swin\", preset: \"swin_tiny_patch4_window7_224\", config: (depths: [1, 1, 1, 1])), \
                    (architecture: \"convnext\", preset: \"convnext_tiny\", config: (depths: [1, 1, 1, 1]))])";
                args.extend(["--set", "data.images=20", "--set", shallow]);
            }
            "bench_swin_tiny" | "bench_convnext_tiny" => {
                args.extend(["--set", "data.images=20", "--set", "model.config.depths=[1, 1, 1, 1]"]);
            }
            // Twelve blocks of this size take a debug build a minute.
            _ => args.extend(["--set", "data.images=20", "--set", "model.config.depth=2"]),
        }
        let output = workspace.vitslim(&args);
        assert!(output.status.success(), "{name}: {}", said(&output));
        names.push(name);
    }
    assert!(names.len() >= 8, "{names:?}");
}

#[test]
fn all_reasons_are_told_and_not_only_the_first() {
    let workspace = Workspace::new();
    let text = TINY.replace("Digits", "Idx(path: \"nowhere\")").replace("\"hidden\": 0.1", "\"width\": 0.1");
    let file = workspace
        .write("tiny.ron", &text.replace("patch_size: 4", "image_size: 8, channels: 1, patch_size: 4"));
    let file = file.to_str().unwrap();
    let output = workspace.vitslim(&["check", file]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for part in ["`tiny` is not fit to be run: 2 reasons", "nowhere", "`width` is not searched"] {
        assert!(printed.contains(part), "{part} is not in\n{printed}");
    }
    // What can be proved without the data is.
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["without its data", "masked and sliced network are the same", "gets a gradient"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    assert!(!table.contains("fit to be run"), "{table}");

    let output = workspace.vitslim(&["check", file, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(found["reasons"].as_array().unwrap().len(), 2, "{found}");
    assert!(found["data"].is_null());
}

#[test]
fn a_mistake_in_the_data_is_one_reason() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &TINY.replace("Digits", "Idx(path: \"nowhere\")"));
    let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
    let (printed, table) = (said(&output), String::from_utf8_lossy(&output.stdout).into_owned());
    assert!(printed.contains("`tiny` is not fit to be run: 1 reason"), "{printed}");
    assert_eq!(printed.matches("nowhere").count(), 1, "{printed}");
    assert!(table.contains("without its data, the network is not checked"), "{table}");
}

#[test]
fn every_bad_image_is_named_if_asked_for() {
    let workspace = Workspace::new();
    write_folder(&workspace.path("images"), "train", 20, "png");
    write_folder(&workspace.path("images"), "val", 5, "png");
    for image in 0..9 {
        workspace.write(&format!("images/train/up/broken{image}.png"), "GIF89a");
    }
    let data = "ImageFolder(path: \"images\", image_size: 8)";
    let file = workspace.write("tiny.ron", &TINY.replace("Digits", data));
    let check = |all: &[&str]| {
        said(&workspace.vitslim(&[&["check", "--images", file.to_str().unwrap()], all].concat()))
    };
    let few = check(&[]);
    assert!(few.contains("is a GIF image, but only JPEG, PNG and WebP are read"), "{few}");
    assert!(few.contains("and 3 more, which `vitslim check --images --all` names"), "{few}");
    let all = check(&["--all"]);
    assert!((0..9).all(|image| all.contains(&format!("broken{image}.png"))), "{all}");
}

#[test]
fn what_is_no_experiment_is_refused_as_by_run() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let file = file.to_str().unwrap();
    let long = format!("name=\"{}\"", "n".repeat(300));
    for (args, expected) in [
        (&["nowhere.ron"][..], "`nowhere.ron` does not exist"),
        (&[file, "--set", "retrain.epoch=5"], "did you mean `epochs`?"),
        (&[file, "--set", "model.architecture=\"vti\""], "did you mean `vit`?"),
        (&[file, "--set", "model.config.heads=3"], "3 heads do not divide"),
        (&[file, "--set", &long], "at most 200 characters, but has 300"),
        (&[file, "--set", "search.dimensions={\"hiden\": (weight: 0)}"], "hidden"),
    ] {
        let output = workspace.vitslim(&[&["check"], args].concat());
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{args:?}: {printed}");
        assert!(printed.contains(expected), "{args:?} does not say `{expected}` but: {printed}");
    }
}

#[test]
fn architectures_are_listed_with_presets_and_dimensions() {
    let workspace = Workspace::new();
    let output = workspace.vitslim(&["architectures"]);
    let list = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{}", said(&output));
    for part in [
        "vit\n",
        "deit_small_patch16_224",
        "blocks.*.mlp.hidden: 768 units, in 12 places",
        "width: 192 units, once",
        "convnext\n",
        "convnext_tiny, convnext_small",
        "stages.*.width: 96 to 768 units, in 4 places",
    ] {
        assert!(list.contains(part), "{part} is not in\n{list}");
    }
    assert!(list.lines().all(|line| line.chars().count() <= 80), "{list}");

    let output = workspace.vitslim(&["architectures", "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let vit =
        found["architectures"].as_array().unwrap().iter().find(|listed| listed["name"] == "vit").unwrap();
    assert!(vit["presets"].as_array().unwrap().contains(&"vit_tiny_patch16_224".into()), "{vit}");
    assert!(
        vit["dimensions"].as_array().unwrap().iter().any(|d| d["name"] == "head_dim" && d["places"] == 12)
    );
}
