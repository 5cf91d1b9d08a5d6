//! Experiments that start from trained weights.

use std::fs;
use std::path::{Path, PathBuf};

use safetensors::SafeTensors;

use super::data::write_idx;
use super::workspace::{TINY, Workspace, json, said};

/// The network of the golden numbers in `data/weights`, without pretraining.
fn experiment() -> String {
    let config = "patch_size: 4, dim: 12, depth: 2, heads: 3, mlp_ratio: 2";
    let model = format!("config: ({config}), pretrained: \"vit.pth\"");
    let start = TINY.find("config: (").unwrap();
    let end = start + TINY[start..].find("))").unwrap() + 1;
    TINY.replace(&TINY[start..end], &model)
}

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("data/weights").join(name)
}

/// A workspace with the weights.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fs::copy(data("timm_vit.pth"), workspace.path("vit.pth")).unwrap();
    workspace
}

fn without_pretraining(experiment: &str) -> String {
    experiment.lines().filter(|line| !line.contains("pretrain: (")).collect::<Vec<_>>().join("\n")
}

#[test]
fn check_tells_how_much_of_the_file_is_used_and_what_became_of_it() {
    let workspace = workspace();
    let file = workspace.write("tiny.ron", &experiment());
    let file = file.to_str().unwrap();
    let output = workspace.vitslim(&["check", file]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{table}{}", said(&output));
    let flat = table.split_whitespace().collect::<Vec<_>>().join(" ");
    for part in [
        "pretrained: 30 of 32 tensors, by the names of timm",
        "pretrained: `head` is left as initialised: it is [5",
        "pretrained: `patch_embed.proj.weight`: its 3 channels are summed to 1",
        "fit to be run",
    ] {
        assert!(flat.contains(part), "{part} is not in\n{table}");
    }
    let output = workspace.vitslim(&["check", file, "--json"]);
    let found: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&found["pretrained"]["used"], &found["pretrained"]["count"]), (&30.into(), &32.into()));
}

/// Weights are of images that were normalised in some way, which only a user can know.
#[test]
fn check_says_where_the_training_split_normalises_for_trained_weights() {
    let workspace = workspace();
    write_idx(&workspace.path(""), "train", 80);
    write_idx(&workspace.path(""), "t10k", 20);
    let told = |normalise: &str, experiment: &str| {
        let data = format!("Idx(path: \".\", classes: 2, held_out: 0.5{normalise})");
        let text = experiment.replace("Digits", &data).replace("batch: 128", "batch: 16");
        let file = workspace.write("tiny.ron", &text);
        let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
        let table = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{table}{}", said(&output));
        let flat = table.split_whitespace().collect::<Vec<_>>().join(" ");
        flat.contains("pretrained: images are normalised by mean and std of the training split")
            && flat.contains("`normalise` in `data` changes that")
    };
    assert!(told("", &experiment()) && told(", normalise: Split", &experiment()));
    assert!(!told(", normalise: Half", &experiment()) && !told("", TINY));
}

#[test]
fn what_does_not_fit_is_told_at_its_place_before_anything_is_trained() {
    let workspace = workspace();
    let file = workspace.write("tiny.ron", &experiment());
    let file = file.to_str().unwrap();
    fs::write(workspace.path("page.pth"), "<html></html>").unwrap();
    for (set, told) in [
        ("model.config.depth=12", "`blocks` has 2 elements in the file and 12 in the network"),
        ("model.pretrained=\"gone.pth\"", "`gone.pth` does not exist"),
        ("model.pretrained=\"page.pth\"", "`page.pth` is a web page"),
        ("model.pretrained=\".\"", "`.` is not the folder of a run"),
    ] {
        for command in ["check", "run", "plan"] {
            let output = workspace.vitslim(&[command, file, "--set", set]);
            let said = said(&output);
            assert!(!output.status.success() && said.contains(told), "{command} {set}: {said}");
        }
    }
    assert!(!workspace.path("runs").exists(), "nothing is trained");
}

#[test]
fn a_run_starts_from_the_weights_and_knows_them_by_their_content() {
    let workspace = workspace();
    let text = without_pretraining(&experiment());
    let file = workspace.write("tiny.ron", &text);
    workspace.run(&file, &["--quiet"]);
    let run = workspace.path("runs/tiny/seed=3");
    assert_eq!(json(&run.join("data.json"))["pretrained"].as_str().map(str::len), Some(64));

    // The dense network is what the file holds, and needs it.
    let dense = workspace.vitslim(&["eval", run.to_str().unwrap()]);
    assert!(said(&dense).contains("the dense network is as `pretrained` has it"), "{}", said(&dense));
    let label = fs::read_dir(run.join("subnets")).unwrap().next().unwrap().unwrap().path();
    fs::rename(workspace.path("vit.pth"), workspace.path("moved.pth")).unwrap();
    let output = workspace.vitslim(&["eval", run.to_str().unwrap()]);
    assert!(said(&output).contains("does not exist"), "{}", said(&output));
    let output = workspace.vitslim(&["eval", label.to_str().unwrap()]);
    assert!(output.status.success(), "{}", said(&output));

    // The same content elsewhere is the same run; other content under the same name is not.
    let moved = ["--set", "model.pretrained=\"moved.pth\"", "--quiet"];
    workspace.run(&file, &moved);
    fs::copy(data("hugging_face_vit.safetensors"), workspace.path("vit.pth")).unwrap();
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    assert!(said(&output).contains("is not the one that the run in"), "{}", said(&output));
}

/// A search by the original ViT-Slim goes on: its masks come with its weights.
#[test]
fn a_search_continues_from_the_masks_in_the_file() {
    let workspace = Workspace::new();
    let mut tensors = Vec::new();
    let parity = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/parity");
    let files = ["vit_slim_tiny.safetensors", "masks_full.safetensors"]
        .map(|name| fs::read(parity.join(name)).unwrap());
    for file in &files {
        tensors.extend(SafeTensors::deserialize(file).unwrap().tensors());
    }
    fs::write(workspace.path("slim.safetensors"), safetensors::serialize(tensors, None).unwrap()).unwrap();
    let text = r#"Experiment(
        name: "slim",
        model: (
            architecture: "vit",
            config: (patch_size: 8, dim: 48, depth: 3, heads: 3),
            pretrained: "slim.safetensors",
        ),
        data: Random(image_size: 32, channels: 3, classes: 10, images: 40),
        search: (
            epochs: 1,
            batch: 8,
            optimizer: AdamW(lr: 1e-12),
            masks: (lr: 1e-12),
            dimensions: {
                "head_dim": (weight: 0),
                "tokens": (weight: 0, activation: Tanh),
                "blocks.0.mlp.hidden": (weight: 0),
            },
        ),
        budgets: [Share({ "head_dim": 0.5 })],
    )"#;
    let file = workspace.write("slim.ron", text);
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    for name in ["head_dim", "tokens", "hidden"] {
        let told = format!("pretrained: `{name}`: the search continues from the masks in the file");
        assert!(said(&output).contains(&told), "{}", said(&output));
    }
    let masks = fs::read(workspace.path("runs/slim/seed=0/masks.safetensors")).unwrap();
    let masks = SafeTensors::deserialize(&masks).unwrap();
    let golden = SafeTensors::deserialize(&files[1]).unwrap();
    let floats = |tensors: &SafeTensors, name: &str| -> Vec<f32> {
        let (values, _) = tensors.tensor(name).unwrap().data().as_chunks();
        values.iter().map(|value| f32::from_le_bytes(*value)).collect()
    };
    let zeta = |name: &str| {
        name.replace("head_dim", "zeta").replace("hidden", "zeta").replace("tokens", "attn.patch_zeta")
    };
    assert_eq!(masks.names().len(), 7);
    for name in masks.names() {
        let (found, expected) = (floats(&masks, name), floats(&golden, &zeta(name)));
        // The first is that of the class token.
        let expected = &expected[expected.len() - found.len()..];
        assert!(found.iter().zip(expected).all(|(one, other)| (one - other).abs() < 1e-6), "{name}");
    }

    let table = |text: &str| {
        let file = workspace.write("other.ron", text);
        let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
        String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ")
    };
    let unlike = table(&text.replace(", activation: Tanh", ""));
    let told = "`tokens`: the masks in the file are of `activation: Tanh`, and not used";
    assert!(unlike.contains(told), "{unlike}");
    let scored = workspace.write("other.ron", &text.replace("search: (", "importance: Taylor,\nsearch: ("));
    let scored = said(&workspace.vitslim(&["check", scored.to_str().unwrap()]));
    assert!(scored.contains("`Taylor` cannot rank its units"), "{scored}");
    let trained =
        text.replace("search: (", "pretrain: (epochs: 1, batch: 8, optimizer: AdamW(lr: 1e-3)),\nsearch: (");
    let trained = table(&trained);
    assert!(
        trained.contains("the masks in the file are not used: `pretrain` trains without them"),
        "{trained}"
    );
}
