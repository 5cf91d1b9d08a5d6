//! `vitslim count`: where parameters and multiply-adds are.

use serde_json::Value;

use super::workspace::{TINY, Workspace, said};

fn counted(workspace: &Workspace, target: &str) -> Value {
    let output = workspace.vitslim(&["count", target, "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn a_run_is_counted_as_its_results_say_and_its_parts_sum_up() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let before = counted(&workspace, "tiny.ron");
    let summary = workspace.run(&file, &[]);
    // Without the data, as on another machine.
    let after = counted(&workspace, "runs/tiny/seed=3");

    let networks = after["networks"].as_array().unwrap();
    let names: Vec<_> = networks.iter().map(|network| network["name"].clone()).collect();
    assert_eq!(names, ["dense", "share-0.1", "share-0.5-0.5-0.7"]);
    assert_eq!(before["networks"][0], networks[0]);
    for network in networks {
        let of_results = summary["subnets"].as_array().unwrap().iter();
        let of_results =
            of_results.chain([&summary["dense"]]).find(|result| match network["name"].as_str().unwrap() {
                "dense" => result.get("label").is_none(),
                label => result["label"] == label,
            });
        for size in ["params", "macs"] {
            let whole = network[size].as_u64().unwrap();
            assert_eq!(Some(whole), of_results.unwrap()[size].as_u64());
            for parts in ["blocks", "kinds", "layers"] {
                let sum: u64 =
                    network[parts].as_array().unwrap().iter().map(|part| part[size].as_u64().unwrap()).sum();
                assert_eq!(sum, whole, "{size} of {parts}");
            }
        }
    }

    let table = |args: &[&str]| {
        let output = workspace.vitslim(&[&["count", "runs/tiny/seed=3/share-0.1"], args].concat());
        assert!(output.status.success(), "{}", said(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let blocks = table(&[]);
    for part in ["dense", "share-0.1", "blocks.1", "head", "Linear", "attention", "100.0 %"] {
        assert!(blocks.contains(part), "{blocks}");
    }
    assert!(table(&["--layers"]).contains("blocks.1.mlp.fc2 (Linear)"));
    assert!(blocks.lines().all(|line| line.chars().count() <= 80), "{blocks}");
}

#[test]
fn the_flops_of_vit_slim_are_counted_under_its_name_and_for_no_other_network() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    let output = workspace.vitslim(&["count", "tiny.ron", "--convention", "vit-slim", "--json"]);
    assert!(output.status.success(), "{}", said(&output));
    let counted: Value = serde_json::from_slice(&output.stdout).unwrap();
    let networks = counted["networks"].as_array().unwrap();
    assert_eq!((counted["convention"].as_str(), networks.len()), (Some("vit-slim"), 3));
    // Of four patches without the class token, in both blocks; the images have one channel, and count as three.
    let (n, c, h, m) = (4, 16, 2, 32);
    let attention =
        n * c * 3 * c + 3 * n * c + n * n * c + h * n * n + 5 * h * n * n + n * n * c + n * c * c + n * c;
    let block = 2 * c * n + attention + n * (2 * c * m + c + m);
    assert_eq!(networks[0]["flops"], n * c * 3 * 16 + 2 * block + c * 10);
    for network in networks {
        let parts = network["parts"].as_array().unwrap().iter();
        assert_eq!(network["flops"], parts.map(|part| part["flops"].as_u64().unwrap()).sum::<u64>());
    }

    let swin = TINY
        .replace("\"vit\"", "\"swin\"")
        .replace("depth: 2, heads: 2, mlp_ratio: 2", "depths: [2], heads: [2], window: 2")
        .replace("\"tokens\": (weight: 1e-4, activation: Tanh, init: 3.0),", "")
        .replace(", \"tokens\": 0.7", "");
    workspace.write("swin.ron", &swin);
    let output = workspace.vitslim(&["count", "swin.ron", "--convention", "vit-slim"]);
    assert_eq!(output.status.code(), Some(1));
    let told = "the formulas of ViT-Slim are for `vit` and `deit_distilled`, not for `swin`";
    assert!(said(&output).contains(told), "{}", said(&output));
}
