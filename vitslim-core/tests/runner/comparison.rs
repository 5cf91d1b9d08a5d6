//! `vitslim compare`: what differs between runs, and what came out.

use serde_json::{Value, json};

use super::workspace::{TINY, Workspace, said};

/// As short as a run can be.
const SHORT: [&str; 4] = ["--set", "pretrain=None", "--set", "search.epochs=1"];

#[track_caller]
fn compared(workspace: &Workspace, paths: &[&str]) -> Value {
    let output = workspace.vitslim(&[&["compare", "--json"], paths].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn table(workspace: &Workspace, paths: &[&str]) -> String {
    let output = workspace.vitslim(&[&["compare"], paths].concat());
    assert!(output.status.success(), "{}", said(&output));
    let table = String::from_utf8(output.stdout).unwrap();
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    table
}

#[test]
fn runs_are_compared_by_what_differs_and_what_came_out_as_far_as_they_are() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let first = workspace.run(&file, &SHORT);
    let other = ["--set", "name=\"other\"", "--set", "search.dimensions.hidden.weight=1e-2"];
    let second = workspace.run(&file, &[&SHORT[..], &other].concat());

    let both = compared(&workspace, &["runs/tiny/seed=3", "runs/other/seed=3"]);
    let expected = json!([
        { "path": "name", "values": ["\"tiny\"", "\"other\""] },
        { "path": "search.dimensions.hidden.weight", "values": ["0.0001", "0.01"] },
    ]);
    assert_eq!(both["differences"], expected);
    let networks = both["networks"].as_array().unwrap();
    let name = |network: &Value| (network["run"].clone(), network["network"].clone());
    let labels = ["dense", "share-0.5-0.5-0.7", "share-0.1"];
    let of = |run: &str| labels.map(|label| (json!(run), json!(label)));
    let names: Vec<_> = networks.iter().map(name).collect();
    assert_eq!(names, [of("tiny/seed=3"), of("other/seed=3")].concat());
    for (networks, summary) in networks.chunks(3).zip([&first, &second]) {
        assert_eq!(networks[0]["top1"], summary["dense"]["top1"]);
        for (network, subnet) in networks[1..].iter().zip(summary["subnets"].as_array().unwrap()) {
            assert_eq!(network["top1"], subnet["top1_sliced"]);
            for same in ["params", "macs", "top1_retrained", "speedup"] {
                assert_eq!(network[same], subnet[same], "{same} of {network}");
            }
        }
    }
    assert!(networks.iter().any(|network| network["is_best"] == true), "{both}");

    // Two of the same run differ in nothing; what is named twice is there once.
    let label = "runs/tiny/seed=3/share-0.1";
    let same = table(&workspace, &[label, "runs/tiny/seed=3/subnets/share-0.5-0.5-0.7", label]);
    assert!(same.starts_with("nothing differs") && same.matches("share-0.1").count() == 1, "{same}");
    assert!(!same.contains("dense  "), "{same}");

    // One was stopped after its sub-networks, and of one there is only its file, of another architecture.
    std::fs::remove_file(workspace.path("runs/other/seed=3/summary.json")).unwrap();
    std::fs::create_dir_all(workspace.path("runs/third/seed=1")).unwrap();
    let third =
        "Experiment(name: \"third\", seed: 1, model: (architecture: \"swin\", config: (depths: [2, 2])))";
    workspace.write("runs/third/seed=1/experiment.ron", third);
    let all = compared(&workspace, &["runs"]);
    let states: Vec<_> = all["runs"].as_array().unwrap().iter().map(|run| &run["state"]).collect();
    assert_eq!(states, ["stopped", "waiting", "complete"]);
    let field = |path: &str| {
        let fields = all["differences"].as_array().unwrap();
        fields.iter().find(|field| field["path"] == path).map(|field| field["values"].clone())
    };
    assert_eq!(field("model.architecture"), Some(json!(["\"vit\"", "\"swin\"", "\"vit\""])));
    assert_eq!(field("model.config.heads"), Some(json!(["2", null, "2"])));
    assert_eq!(field("model.config.depths"), Some(json!([null, "[2, 2]", null])));
    let told = table(&workspace, &["runs"]);
    for line in ["third/seed=1 is not complete: waiting", "other/seed=3 is not complete: stopped at"] {
        assert!(told.lines().any(|told| told.starts_with(line)), "{told}");
    }
    assert!(told.matches("share-0.1  ").count() == 2, "{told}");

    for (path, expected) in [
        ("runs/tiny/seed=4", "there is no folder `runs/tiny/seed=4`"),
        ("runs/tiny/seed=3/share-0.2", "no sub-network `share-0.2`; did you mean `share-0.1`?"),
        ("runs/tiny/seed=3/checkpoints/search", "is not the folder of a run"),
    ] {
        let output = workspace.vitslim(&["compare", "runs/tiny/seed=3", path]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
}
