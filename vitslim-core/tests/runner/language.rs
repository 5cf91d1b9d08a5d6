//! What the runner says of its own language: the reference, and files to start from.

use std::path::Path;

use serde_json::Value;

use super::workspace::{Workspace, said};

/// The reference that is kept in the repository.
const REFERENCE: &str = "../experiments/REFERENCE.md";

fn stdout(workspace: &Workspace, args: &[&str]) -> String {
    let output = workspace.vitslim(args);
    assert!(output.status.success(), "{}", said(&output));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn the_reference_in_the_repository_is_what_the_types_say() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(REFERENCE);
    let kept = std::fs::read_to_string(&file).unwrap();
    let made = stdout(&Workspace::new(), &["schema", "--format", "markdown"]);
    let differing = kept.lines().zip(made.lines()).find(|(kept, made)| kept != made);
    assert!(
        kept == made,
        "stale at {differing:?}: run `cargo run -- schema --format markdown > experiments/REFERENCE.md`"
    );
}

#[test]
fn every_field_says_what_it_is_for() {
    let workspace = Workspace::new();
    let markdown = stdout(&workspace, &["schema", "--format", "markdown"]);
    let rows = markdown.lines().filter(|line| line.starts_with("| `") && line.matches(" | ").count() >= 4);
    let rows: Vec<Vec<&str>> =
        rows.map(|row| row.trim_matches('|').split(" | ").map(str::trim).collect()).collect();
    assert!(rows.len() > 90, "{}", rows.len());
    for row in &rows {
        assert_eq!(row.len(), 6, "{row:?}");
        assert!(!row[1].is_empty() && !row[3].is_empty() && !row[5].is_empty(), "{row:?}");
    }
    let row = |name: &str| rows.iter().find(|row| row[0] == format!("`{name}`")).unwrap();
    assert_eq!(row("batch")[1..5], ["whole number", "images", "`64`", "at least 1"]);
    assert_eq!(row("image_size")[3], "`224`");
    assert_eq!(row("name")[3], "required");
    // As text, no line is wider than a terminal.
    let text = stdout(&workspace, &["schema"]);
    assert!(text.lines().all(|line| line.chars().count() <= 80));
}

#[test]
fn editors_get_a_json_schema() {
    let schema: Value =
        serde_json::from_str(&stdout(&Workspace::new(), &["schema", "--format", "json"])).unwrap();
    assert_eq!(schema["properties"]["log_every"]["default"], 50);
    assert_eq!(schema["properties"]["log_every"]["unit"], "steps");
    assert!(schema["properties"]["base"]["anyOf"].is_array());
    assert_eq!(schema["$defs"]["Count"]["minimum"], 1);
}

#[test]
fn a_new_file_is_an_experiment_for_each_architecture() {
    let workspace = Workspace::new();
    let listed: Value = serde_json::from_str(&stdout(&workspace, &["architectures", "--json"])).unwrap();
    let architectures: Vec<&str> = listed["architectures"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["name"].as_str().unwrap())
        .collect();
    assert!(architectures.len() >= 3);
    for architecture in architectures {
        let name = format!("my_{architecture}");
        stdout(&workspace, &["new", &name, "--architecture", architecture]);
        let plan = stdout(&workspace, &["plan", &format!("{name}.ron"), "--no-times"]);
        assert!(plan.contains("one trial: 1 pretraining, 1 search, 2 retrainings"), "{plan}");
        let text = std::fs::read_to_string(workspace.path(&format!("{name}.ron"))).unwrap();
        assert!(text.contains("// drop_path: 0.0, // Probability of skipping"), "{text}");
    }
}

#[test]
fn a_new_file_replaces_none_and_names_what_there_is() {
    let workspace = Workspace::new();
    workspace.write("mine.ron", "mine");
    for (args, expected) in [
        (["new", "mine", "--architecture", "vit"], "there is a `mine.ron` already"),
        (["new", "other", "--architecture", "vitt"], "there is no architecture `vitt`; did you mean `vit`?"),
    ] {
        let output = workspace.vitslim(&args);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    let output = workspace.vitslim(&["new", "a/b"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("names a folder and may have letters"), "{}", said(&output));
    assert_eq!(std::fs::read_to_string(workspace.path("mine.ron")).unwrap(), "mine");
}
