//! What norms take their statistics over where the width is cut.

use serde_json::{Value, json};

use super::workspace::{TINY, Workspace, json as read, said};

/// The tiny experiment, which searches the width alone, with `norm`.
fn of_width(name: &str, norm: &str) -> String {
    let [start, end] = ["            \"head_dim\": (weight", "        },\n    ),\n    budgets"]
        .map(|part| TINY.find(part).unwrap());
    let text = format!("{}            \"width\": (weight: 1e-3),\n{}", &TINY[..start], &TINY[end..]);
    let [start, end] =
        ["        Share({ \"head_dim\"", "    ],\n    retrain"].map(|part| text.find(part).unwrap());
    let text = format!("{}        Share({{ \"width\": 0.5 }}),\n{}", &text[..start], &text[end..]);
    text.replace("name: \"tiny\"", &format!("name: \"{name}\""))
        .replace("    retrain: (", &format!("    {norm}\n    retrain: ("))
}

#[test]
fn one_search_is_cut_with_either() {
    let workspace = Workspace::new();
    let file = workspace.write("norms.ron", &of_width("norms", "norm: Sweep([Original, Sliced]),"));
    let output = workspace.vitslim(&["run", file.to_str().unwrap(), "--json", "--quiet"]);
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let summaries: Vec<&Value> =
        report["trials"].as_array().unwrap().iter().map(|trial| &trial["summary"]).collect();
    assert_eq!(summaries.len(), 2, "{report}");
    assert_eq!(summaries[0]["search"], summaries[1]["search"]);
    let subnets: Vec<&Value> = summaries.iter().map(|summary| &summary["subnets"][0]).collect();
    for (summary, width) in summaries.iter().zip([16, 8]) {
        let trial = summary["trial"].as_str().unwrap();
        let folder = workspace.path("runs/norms").join(trial).join("subnets/share-0.5");
        let constants = &read(&folder.join("network.json"))["constants"];
        let widths: Vec<&Value> = constants.as_object().unwrap().values().map(|of| &of["width"]).collect();
        assert_eq!(widths, vec![&json!(width); 5], "{constants}");
        let evaluated = workspace.vitslim(&["eval", folder.to_str().unwrap(), "--json"]);
        assert!(evaluated.status.success(), "{}", said(&evaluated));
    }
    let weights = |summary: &Value| {
        let folder = workspace.path("runs/norms").join(summary["trial"].as_str().unwrap());
        std::fs::read(folder.join("subnets/share-0.5/model.safetensors")).unwrap()
    };
    assert!(weights(summaries[0]) != weights(summaries[1]), "one retraining for both");
    for subnet in subnets {
        assert!(subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5, "{subnet}");
    }
}

#[test]
fn a_network_whose_norms_are_sliced_stays_so() {
    let workspace = Workspace::new();
    let file = workspace.write("first.ron", &of_width("first", "norm: Sliced,"));
    workspace.run(&file, &["--set", "pretrain=None", "--set", "retrain=None"]);
    let further = |name: &str, norm: &str| {
        let text = of_width(name, norm);
        text.replace("drop_path: 0.1)", "drop_path: 0.1), pretrained: \"runs/first/seed=3/share-0.5\"")
    };
    let refused = workspace.write("refused.ron", &further("refused", ""));
    // On several devices, `check` plans nothing.
    for (command, devices) in [("check", "cpu,cpu"), ("run", "cpu")] {
        let output = workspace.vitslim(&[command, refused.to_str().unwrap(), "--device", devices]);
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!output.status.success(), "{command}: {told}");
        assert!(told.contains("this network was cut with `norm: Sliced`"), "{command}: {told}");
        assert!(told.contains("write `norm: Sliced` here too"), "{command}: {told}");
    }

    let file = workspace.write("further.ron", &further("further", "norm: Sliced,"));
    workspace.run(&file, &[]);
    let folder = workspace.path("runs/further/seed=3/subnets/share-0.5");
    let constants = &read(&folder.join("network.json"))["constants"];
    assert!(constants.as_object().unwrap().values().all(|of| of["width"] == 4), "{constants}");
    let evaluated = workspace.vitslim(&["eval", "runs/further/seed=3/share-0.5", "--json"]);
    assert!(evaluated.status.success(), "{}", said(&evaluated));
}
