//! Tokens that are merged instead of dropped, by a search and without one.

use serde_json::{Value, json};

use super::workspace::{TINY, Workspace, json as read, said};

/// The tiny experiment with 16 tokens, called `name`, which searches tokens and hidden units, with these `budgets` and `fields`.
fn of_tokens(name: &str, budgets: &str, fields: &str) -> String {
    let [start, end] = ["            \"head_dim\": (weight", "            \"hidden\": (weight"]
        .map(|part| TINY.find(part).unwrap());
    let text = format!("{}{}", &TINY[..start], &TINY[end..]);
    let [start, end] = ["    budgets: [", "    retrain: ("].map(|part| text.find(part).unwrap());
    let text = format!("{}    budgets: [{budgets}],\n    {fields}\n{}", &text[..start], &text[end..]);
    text.replace("name: \"tiny\"", &format!("name: \"{name}\"")).replace("patch_size: 4", "patch_size: 2")
}

fn summaries(workspace: &Workspace, text: &str, sets: &[&str]) -> Vec<Value> {
    let file = workspace.write("merged.ron", text);
    let run = ["run", file.to_str().unwrap(), "--json", "--quiet"];
    let output = workspace.vitslim(&[&run, sets].concat());
    assert!(output.status.success(), "{}", said(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    report["trials"].as_array().unwrap().iter().map(|trial| trial["summary"].clone()).collect()
}

#[test]
fn one_search_is_cut_with_either() {
    let workspace = Workspace::new();
    let budgets = "Share({ \"hidden\": 0.5, \"tokens\": 0.5 }), Tokens(fewer: 3)";
    let found = summaries(&workspace, &of_tokens("merged", budgets, "tokens: Sweep([Drop, Merge]),"), &[]);
    assert_eq!(found.len(), 2);
    assert_eq!(found[0]["search"], found[1]["search"]);
    let folder = |summary: &Value, label: &str| {
        let trial = summary["trial"].as_str().unwrap();
        workspace.path("runs/merged").join(trial).join("subnets").join(label)
    };
    for (summary, stay) in found.iter().zip(["keep", "merge_into"]) {
        let subnet = &summary["subnets"][1];
        assert_eq!(subnet["budget"], json!({ "tokens": { "fewer": 3 } }), "{subnet}");
        assert_eq!(subnet["kept"]["tokens"], json!((13.0 + 10.0) / 32.0), "{subnet}");
        // Of hidden units: tokens are dropped in either.
        let difference = summary["subnets"][0]["masked_vs_sliced"].as_f64().unwrap();
        assert!(difference < 1e-5, "{summary}");
        let tokens = &read(&folder(summary, "tokens-fewer-3").join("network.json"))["tokens"];
        let left = |gate: &str| tokens[gate][stay].as_array().unwrap().len();
        assert_eq!([left("blocks.0.tokens"), left("blocks.1.tokens")], [13, 10], "{tokens}");
        let evaluated =
            workspace.vitslim(&["eval", folder(summary, "tokens-fewer-3").to_str().unwrap(), "--json"]);
        assert!(evaluated.status.success(), "{}", said(&evaluated));
        let evaluated: Value = serde_json::from_slice(&evaluated.stdout).unwrap();
        assert_eq!(evaluated["top1"], subnet["top1_retrained"]);
    }
    for label in ["share-0.5-0.5", "tokens-fewer-3"] {
        let weights = |summary| std::fs::read(folder(summary, label).join("model.safetensors")).unwrap();
        assert!(weights(&found[0]) != weights(&found[1]), "one retraining for both");
    }
    let run = folder(&found[1], "..");
    let output = workspace.vitslim(&[
        "slim",
        run.to_str().unwrap(),
        "--budget",
        "Tokens(fewer: 1)",
        "--json",
        "--quiet",
    ]);
    assert!(output.status.success(), "{}", said(&output));
    let tokens = &read(&folder(&found[1], "tokens-fewer-1").join("network.json"))["tokens"];
    assert_eq!(tokens["blocks.1.tokens"]["merge_into"].as_array().unwrap().len(), 14);
}

#[test]
fn no_search_is_needed() {
    let workspace = Workspace::new();
    let fields = "importance: Random, tokens: Sweep([Drop, Merge]),";
    let budgets = "Tokens(fewer: 5), Tokens(fewer: 40), All([Tokens(fewer: 5), Macs(0.4)])";
    let text = of_tokens("merged", budgets, fields);
    let found = summaries(&workspace, &text, &["--set", "retrain=None"]);
    for summary in &found {
        assert_eq!(summary["search"], Value::Null);
        let kept: Vec<&Value> =
            summary["subnets"].as_array().unwrap().iter().map(|of| &of["kept"]["tokens"]).collect();
        assert_eq!(kept[..2], [&json!((11.0 + 6.0) / 32.0), &json!((1.0 + 1.0) / 32.0)]);
        let [of_tokens, _, of_both] = &summary["subnets"].as_array().unwrap()[..] else {
            panic!("{summary}")
        };
        assert_eq!(of_tokens["kept"]["hidden"], 1.0);
        assert!(
            kept[2].as_f64() <= kept[0].as_f64() && of_both["kept"]["hidden"].as_f64() < Some(1.0),
            "{of_both}"
        );
        let share = of_both["macs"].as_f64().unwrap() / summary["dense"]["macs"].as_f64().unwrap();
        assert!((0.38..=0.4).contains(&share), "{share}");
    }
    let macs = |summary: &Value| summary["subnets"][0]["macs"].as_u64().unwrap();
    assert!(macs(&found[1]) > macs(&found[0]), "to find the most similar token takes multiply-adds too");
}

#[test]
fn a_network_whose_tokens_are_merged_stays_so() {
    let workspace = Workspace::new();
    let file = workspace.write("first.ron", &of_tokens("first", "Tokens(fewer: 2)", "tokens: Merge,"));
    workspace.run(&file, &["--set", "pretrain=None", "--set", "retrain=None"]);
    let further = |name: &str, tokens: &str| {
        let text = of_tokens(name, "Tokens(fewer: 3)", tokens);
        text.replace("drop_path: 0.1)", "drop_path: 0.1), pretrained: \"runs/first/seed=3/tokens-fewer-2\"")
    };
    let refused = workspace.write("refused.ron", &further("refused", ""));
    for command in ["check", "run"] {
        let output = workspace.vitslim(&[command, refused.to_str().unwrap()]);
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(!output.status.success(), "{command}: {told}");
        assert!(told.contains("this network was cut with `tokens: Merge`"), "{command}: {told}");
        assert!(told.contains("write `tokens: Merge` here too"), "{command}: {told}");
    }

    let file =
        workspace.write("further.ron", &further("further", "tokens: Merge, protect: [\"blocks.0.tokens\"],"));
    let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    let note = "keep 14 tokens at `blocks.0.tokens`, where tokens-fewer-3 asks for 11";
    assert!(output.status.success() && told.contains(note), "{told}");
    // Nothing is said of merging in vain where tokens were cut before.
    let without = further("without", "tokens: Merge,")
        .replace("\"tokens\": (weight: 1e-4, activation: Tanh, init: 3.0),", "");
    let file =
        workspace.write("without.ron", &without.replace("Tokens(fewer: 3)", "Share({ \"hidden\": 0.5 })"));
    let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && !told.contains("changes nothing"), "{told}");

    let file = workspace.write("further.ron", &further("further", "tokens: Merge,"));
    workspace.run(&file, &[]);
    let subnet = workspace.path("runs/further/seed=3/subnets/tokens-fewer-3");
    let tokens = &read(&subnet.join("network.json"))["tokens"];
    let left = |gate: &str| tokens[gate]["merge_into"].as_array().unwrap().len();
    // Of 16, 14 and 12 were left: three fewer than those of the first gate, and three fewer than these.
    assert_eq!([left("blocks.0.tokens"), left("blocks.1.tokens")], [11, 8], "{tokens}");
    let evaluated = workspace.vitslim(&["eval", "runs/further/seed=3/tokens-fewer-3", "--json"]);
    assert!(evaluated.status.success(), "{}", said(&evaluated));
}

#[test]
fn only_tokens_that_are_searched_go() {
    let workspace = Workspace::new();
    let text = of_tokens("refused", "Tokens(fewer: 2)", "");
    let of_hidden = |text: &str| text.replace("\"tokens\": (weight: 1e-4, activation: Tanh, init: 3.0),", "");
    let note = "`tokens: Merge` changes nothing: no tokens are searched, so that none are cut";
    let merging = of_hidden(&of_tokens("in_vain", "Share({ \"hidden\": 0.5 })", "tokens: Merge,"));
    let file = workspace.write("in_vain.ron", &merging);
    let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
    let told = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.status.success() && told.contains(note), "{told}");
    let of_hidden = of_hidden(&text);
    let of_swin = of_hidden.replace(
        "architecture: \"vit\", config: (patch_size: 2, dim: 16, depth: 2, heads: 2, mlp_ratio: 2, drop_path: 0.1)",
        "architecture: \"swin\", config: (patch_size: 1, dim: 8, depths: [1], heads: [2], window: 4)",
    );
    for (text, help) in [
        (&of_hidden, "add \"tokens\" under `search.dimensions`, or write another budget"),
        (&of_swin, "this architecture has no token gates: write another budget"),
    ] {
        let file = workspace.write("refused.ron", text);
        let output = workspace.vitslim(&["check", file.to_str().unwrap()]);
        let told = format!("{}{}", String::from_utf8_lossy(&output.stdout), said(&output));
        let told = told.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            !output.status.success() && told.contains("no tokens are searched, so that none can be cut"),
            "{told}"
        );
        assert!(told.contains(help), "{told}");
    }
}
