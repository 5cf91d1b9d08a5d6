//! `vitslim frontier`: networks of many sizes out of a search that is finished.

use serde_json::Value;

use super::identity::files;
use super::slim::{FIRST, RUN, WITHOUT_RETRAINING, slim};
use super::workspace::{TINY, Workspace, json, said};

#[test]
fn a_point_of_the_frontier_is_the_network_that_slim_leaves() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &TINY.replace(FIRST, ""));
    let summary = workspace.run(&file, &WITHOUT_RETRAINING);
    let run = workspace.path(RUN);
    let frontier = |args: &[&str]| -> Value {
        let output = workspace.vitslim(&[&["frontier", RUN, "--json"], args].concat());
        assert!(output.status.success(), "{}", said(&output));
        let printed: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(printed, json(&run.join("frontier.json")));
        printed
    };
    let before = files(&run);
    let found = frontier(&["--points", "5"]);
    let others: Vec<_> =
        files(&run).into_iter().filter(|(path, _)| !path.ends_with("frontier.json")).collect();
    assert!(others == before, "nothing else is written");
    assert_eq!((&found["of"], &found["split"]), (&"Macs".into(), &"test".into()));
    let points = found["points"].as_array().unwrap();
    assert_eq!(points.len(), 5);
    assert!(points.windows(2).all(|pair| pair[0]["macs"].as_u64() < pair[1]["macs"].as_u64()), "{found}");
    let last = &points[4];
    assert_eq!((&last["budget"], &last["label"]), (&"Macs(1.0)".into(), &"macs-1".into()));
    assert_eq!(last["macs"], summary["dense"]["macs"]);

    let budgets: Vec<&str> =
        points.iter().flat_map(|point| ["--budget", point["budget"].as_str().unwrap()]).collect();
    let (cut, _) = slim(&workspace, RUN, &budgets);
    for (point, subnet) in points.iter().zip(cut["subnets"].as_array().unwrap()) {
        for field in ["label", "kept", "params", "macs"] {
            assert_eq!(point[field], subnet[field], "{field}");
        }
        assert_eq!(point["top1"], subnet["top1_sliced"]);
    }

    let of_params = frontier(&["--points", "3", "--of", "Params", "--split", "held_out"]);
    assert_eq!((&of_params["of"], &of_params["split"]), (&"Params".into(), &"held_out".into()));
    assert!(of_params["points"][0]["budget"].as_str().unwrap().starts_with("Params(0."), "{of_params}");
    let whole = workspace.vitslim(&["eval", &format!("{RUN}/macs-1"), "--split", "held_out", "--json"]);
    let whole: Value = serde_json::from_slice(&whole.stdout).unwrap();
    assert_eq!(of_params["points"][2]["top1"], whole["top1"]);

    let output = workspace.vitslim(&["frontier", RUN, "--points", "2"]);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("Macs(1.0)") && table.contains("nothing is retrained"), "{table}");
    let exported =
        ["slim", RUN, "--budget", "Macs(0.5)", "--export", "safetensors", "--out", "small.safetensors"];
    let output = workspace.vitslim(&exported);
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(table.contains("dense") && table.contains("results: runs/tiny/seed=3/macs-0.5"), "{table}");
    let evaluated = workspace.vitslim(&["eval", "small.safetensors", "--json"]);
    let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
    assert_eq!(evaluated["top1"], json(&run.join("subnets/macs-0.5/result.json"))["top1_sliced"]);
    // A run that begins anew has no frontier.
    workspace.run(&file, &[&WITHOUT_RETRAINING[..], &["--fresh"]].concat());
    assert!(!run.join("frontier.json").exists());
}
