//! Images that are normalised as the experiment says.

use serde_json::{Value, json};

use super::identity::{short, with_colours};
use super::resume::metrics;
use super::workspace::{Workspace, json, said};

const RUN: &str = "runs/tiny/seed=3";
const NETWORK: &str = "runs/tiny/seed=3/share-0.1";

#[track_caller]
fn succeeds(workspace: &Workspace, args: &[&str]) -> Value {
    let output = workspace.vitslim(args);
    assert!(output.status.success(), "{args:?}: {}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_default()
}

/// Mean and std of `images`, to three digits.
fn told(images: &Value) -> [Vec<i64>; 2] {
    ["mean", "std"].map(|name| {
        let values = images[name].as_array().unwrap().iter();
        values.map(|value| (value.as_f64().unwrap() * 1e3).round() as i64).collect()
    })
}

#[test]
fn the_normalisation_of_an_experiment_is_that_of_its_networks_wherever_they_go() {
    let workspace = with_colours();
    let imagenet = [vec![485, 456, 406], vec![229, 224, 225]];
    let set = ["--set", "data.normalise=ImageNet", "--json"];
    let summary = succeeds(&workspace, &short(&set));

    let run = workspace.path(RUN);
    let recorded = json(&run.join("normalisation.json"));
    assert_eq!((told(&recorded), &recorded["images"]), (imagenet.clone(), &json!(0)));
    assert_eq!(told(&json(&run.join("subnets/share-0.1/network.json"))["images"]), imagenet);
    let dense = succeeds(&workspace, &["eval", RUN, "--json"]);
    assert_eq!(dense["top1"], summary["dense"]["top1"]);

    succeeds(&workspace, &["export", NETWORK, "--to", "onnx", "--out", "small.onnx"]);
    let onnx = std::fs::read(workspace.path("small.onnx")).unwrap();
    let onnx = String::from_utf8_lossy(&onnx).into_owned();
    assert!(onnx.contains("\"mean\":[0.485,0.456,0.406]"), "the file does not say its normalisation");
    // A network by itself, on data elsewhere, which say nothing of it.
    succeeds(&workspace, &["export", NETWORK, "--to", "safetensors", "--out", "small.safetensors"]);
    std::fs::rename(workspace.path("imgs"), workspace.path("moved")).unwrap();
    let alone = succeeds(&workspace, &["eval", "small.safetensors", "--data", "moved", "--json"]);
    assert_eq!(alone["top1"], summary["subnets"][1]["top1_retrained"]);
    std::fs::rename(workspace.path("moved"), workspace.path("imgs")).unwrap();

    // It goes on as it began, and only so.
    assert_eq!(succeeds(&workspace, &short(&set))["dense"], summary["dense"]);
    for other in ["data.normalise=Split", "data.normalise=Half"] {
        let output = workspace.vitslim(&short(&["--set", other]));
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        assert!(said(&output).contains("another experiment"), "{}", said(&output));
    }
    succeeds(&workspace, &short(&["--set", "data.normalise=Split", "--out", "other", "--json"]));
    let other = workspace.path("other/tiny/seed=3");
    assert_ne!(told(&json(&other.join("normalisation.json"))), imagenet);
    assert_ne!(metrics(&other), metrics(&run), "the normalisation changes nothing");
    // What an earlier version wrote says the same, so stages have the names that they had.
    let text = std::fs::read_to_string(other.join("experiment.ron")).unwrap();
    assert!(!text.contains("normalise"), "{text}");
}
