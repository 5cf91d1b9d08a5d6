//! Whole runs of the architectures, other than that of `vit` as it is by default.

use std::path::Path;

use serde_json::Value;

use super::workspace::{TINY, Workspace, said};

const VIT: &str = "(architecture: \"vit\", config: (patch_size: 4, dim: 16, depth: 2, heads: 2, mlp_ratio: 2, drop_path: 0.1))";

/// The tiny experiment of another model, that searches other dimensions and has these budgets, an epoch a stage.
fn experiment(model: &str, searched: &str, budgets: &str) -> String {
    assert!(TINY.contains(VIT));
    let (start, rest) = TINY.split_once("dimensions: {").unwrap();
    let (_, rest) = rest.split_once("},").unwrap();
    let (middle, rest) = rest.split_once("budgets: [").unwrap();
    let (_, end) = rest.split_once("\n    ],").unwrap();
    let text = format!("{start}dimensions: {{{searched}}},{middle}budgets: [{budgets}],{end}");
    text.replace(VIT, model).replace("epochs: 2", "epochs: 1").replace("warmup_epochs: 1", "warmup_epochs: 0")
}

const SWIN: &str = "(architecture: \"swin\", config: (patch_size: 2, dim: 12, depths: [2, 1], heads: [2, 4], window: 2, \
                    mlp_ratio: 2, drop_path: 0.1))";

const CONVNEXT: &str = "(architecture: \"convnext\", config: (patch_size: 2, dims: [8, 12], depths: [1, 2], kernel_size: 3, \
                        mlp_ratio: 2, layer_scale: 0.1, drop_path: 0.1))";

/// Asserts that the experiment in `file` is fit to be run, runs it, and asserts what holds of its two sub-networks, the second of
/// which loses width: they are smaller, the same masked and sliced, retrained, and made again from their files.
fn check_run_and_restore(workspace: &Workspace, file: &Path) -> Value {
    let output = workspace.vitslim(&["check", file.to_str().unwrap(), "--json"]);
    let checked: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(checked["reasons"], Value::Array(Vec::new()));
    assert!(
        checked["plans"].as_u64().unwrap() > 10 && checked["largest_difference"].as_f64().unwrap() < 1e-10
    );

    let summary = workspace.run(file, &[]);
    let subnets = summary["subnets"].as_array().unwrap();
    assert_eq!(subnets.len(), 2);
    for (subnet, tolerance) in subnets.iter().zip([1e-5, 1e-4]) {
        assert!(subnet["masked_vs_sliced"].as_f64().unwrap() < tolerance, "{subnet}");
        assert!(subnet["macs"].as_u64() < summary["dense"]["macs"].as_u64(), "{subnet}");
        assert!(subnet["top1_retrained"].as_f64().is_some(), "{subnet}");
    }
    let label = subnets[1]["label"].as_str().unwrap();
    let output = workspace.vitslim(&["eval", &format!("runs/tiny/seed=3/{label}"), "--json"]);
    let evaluated: Value = serde_json::from_slice(&output.stdout).expect("a report");
    assert_eq!(evaluated["top1"], subnets[1]["top1_retrained"]);
    summary
}

/// What a sub-network keeps of a dimension.
fn kept(summary: &Value, subnet: usize, name: &str) -> f64 {
    summary["subnets"][subnet]["kept"][name].as_f64().unwrap()
}

#[test]
fn swin_is_checked_searched_cut_and_retrained_down_to_the_width_of_each_stage() {
    let searched = "\"head_dim\": (weight: 1e-3), \"hidden\": (weight: 1e-4), \"width\": (weight: 1e-4)";
    let budgets = "Share({ \"head_dim\": 0.5, \"hidden\": 0.5 }), \
                   Share({ \"head_dim\": 0.4, \"layers.0.width\": 0.75, \"layers.1.width\": 0.5 })";
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &experiment(SWIN, searched, budgets));
    let summary = check_run_and_restore(&workspace, &file);
    let kept = |subnet, name| kept(&summary, subnet, name);
    assert_eq!([kept(0, "head_dim"), kept(0, "hidden"), kept(0, "width")], [0.5, 0.5, 1.0]);
    // 9 of 12 and 12 of 24.
    assert_eq!(kept(1, "width"), 21.0 / 36.0);
}

#[test]
fn a_vit_with_what_published_ones_have_is_checked_searched_cut_and_retrained() {
    let has = "mlp_layer: SwiGLUPacked, qk_norm: true, init_values: 0.1, class_token: false, reg_tokens: 2, no_embed_class: true, \
               pre_norm: true, proj_bias: false, global_pool: Avg, drop_path";
    let searched = "\"head_dim\": (weight: 1e-3), \"hidden\": (weight: 1e-4), \"width\": (weight: 1e-4), \
                    \"tokens\": (weight: 1e-4, activation: Tanh, init: 3.0)";
    let budgets = "Share({ \"head_dim\": 0.5, \"hidden\": 0.5, \"tokens\": 0.5 }), \
                   Share({ \"head_dim\": 0.4, \"width\": 0.75 })";
    let workspace = Workspace::new();
    let model = VIT.replace("drop_path", has);
    let file = workspace.write("tiny.ron", &experiment(&model, searched, budgets));
    let summary = check_run_and_restore(&workspace, &file);
    let kept = |subnet, name| kept(&summary, subnet, name);
    assert_eq!([kept(0, "head_dim"), kept(0, "hidden"), kept(0, "tokens")], [0.5, 0.5, 0.5]);
    // 12 of 16.
    assert_eq!(kept(1, "width"), 0.75);
}

#[test]
fn a_distilled_vit_is_searched_cut_and_retrained() {
    let model = VIT.replace("vit", "deit_distilled");
    let searched = "\"head_dim\": (weight: 1e-3), \"tokens\": (weight: 1e-4, activation: Tanh, init: 3.0)";
    let workspace = Workspace::new();
    let file = workspace
        .write("tiny.ron", &experiment(&model, searched, "Share({ \"head_dim\": 0.5, \"tokens\": 0.5 })"));
    let summary = workspace.run(&file, &[]);
    let subnet = &summary["subnets"][0];
    // Of 2 x 4 patches; the two tokens before them do not count.
    assert_eq!(subnet["kept"]["tokens"], 0.5);
    assert!(subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5, "{subnet}");
}

#[test]
fn convnext_is_checked_searched_cut_and_retrained_down_to_the_width_of_each_stage() {
    let searched = "\"hidden\": (weight: 1e-4), \"width\": (weight: 1e-4)";
    let budgets = "Share({ \"hidden\": 0.5 }), \
                   Share({ \"hidden\": 0.4, \"stages.0.width\": 0.75, \"stages.1.width\": 0.5 })";
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &experiment(CONVNEXT, searched, budgets));
    let summary = check_run_and_restore(&workspace, &file);
    let kept = |subnet, name| kept(&summary, subnet, name);
    assert_eq!([kept(0, "hidden"), kept(0, "width")], [0.5, 1.0]);
    // 6 of 8 and 6 of 12.
    assert_eq!(kept(1, "width"), 12.0 / 20.0);
}

#[test]
fn the_width_of_swin_and_convnext_is_ranked_without_a_search() {
    for (model, stages, importance, other) in [
        (SWIN, "layers", "Variance(batches: 2)", "head_dim"),
        (CONVNEXT, "stages", "Taylor(batches: 2)", "hidden"),
    ] {
        let searched = format!("\"{other}\": (weight: 0), \"width\": (weight: 0)");
        let budgets = format!(
            "Share({{ \"{other}\": 0.5 }}), \
             Share({{ \"{other}\": 0.4, \"{stages}.0.width\": 0.75, \"{stages}.1.width\": 0.5 }})"
        );
        let workspace = Workspace::new();
        let text = experiment(model, &searched, &budgets);
        let text = text.replace("seed: 3,", &format!("seed: 3, importance: {importance}, correct: true,"));
        let summary = check_run_and_restore(&workspace, &workspace.write("tiny.ron", &text));
        assert!(summary["search"].is_null(), "{summary}");
        assert_eq!([kept(&summary, 0, other), kept(&summary, 0, "width")], [0.5, 1.0], "{model}");
    }
}

/// Asserts that an experiment of `model` that searches `searched` is refused in these words.
fn assert_refused(model: &str, searched: &str, expected: &[&str]) {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &experiment(model, searched, "Share({ \"hidden\": 0.5 })"));
    let output = workspace.vitslim(&["run", file.to_str().unwrap()]);
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    for expected in expected {
        assert!(printed.contains(expected), "no `{expected}` in: {printed}");
    }
    assert!(!workspace.path("runs").exists());
}

#[test]
fn what_convnext_does_not_have_is_refused_by_name() {
    let known = "the dimensions of this model are `width`, `block_branch` and `hidden`";
    let searched = |name: &str| format!("\"hidden\": (weight: 1e-4), \"{name}\": (weight: 1e-4)");
    assert_refused(CONVNEXT, &searched("tokens"), &["no dimension matches \"tokens\"", known, "tiny.ron:"]);
    assert_refused(CONVNEXT, &searched("head_dim"), &["no dimension matches \"head_dim\"", known]);
    let hidden = "\"hidden\": (weight: 1e-4)";
    let even = CONVNEXT.replace("kernel_size: 3", "kernel_size: 4");
    assert_refused(&even, hidden, &["has no middle", "write 3 or 5", "tiny.ron:4:"]);
    let heads = CONVNEXT.replace("kernel_size: 3", "heads: [2, 4]");
    assert_refused(&heads, hidden, &["unknown field `heads`", "tiny.ron:4:"]);
    let preset = "(architecture: \"convnext\", preset: \"convnext_tiny\")";
    let patches = ["that 4 stages can merge two by two", "patch sizes that work: 1", "tiny.ron:4:"];
    assert_refused(preset, hidden, &patches);
}

#[test]
fn what_swin_does_not_have_is_refused_by_name() {
    let searched = "\"hidden\": (weight: 1e-4), \"tokens\": (weight: 1e-4)";
    assert_refused(
        SWIN,
        searched,
        &[
            "no dimension matches \"tokens\"",
            "the dimensions of this model are",
            "head_dim",
            "hidden",
            "width",
        ],
    );
    let hidden = "\"hidden\": (weight: 1e-4)";
    let windows =
        &["windows of 3 x 3 do not fill the 4 x 4 patches", "`window` can be 1, 2, 4", "tiny.ron:4:"];
    assert_refused(&SWIN.replace("window: 2", "window: 3"), hidden, windows);
    let preset = "(architecture: \"swin\", preset: \"swin_tiny_patch4_window7_224\")";
    assert_refused(
        preset,
        hidden,
        &["images of 8 pixels do not split into patches of 4", "patch sizes that work: 1", "tiny.ron:4:"],
    );
    let preset = "(architecture: \"swin\", preset: \"swin_tiny\")";
    assert_refused(preset, hidden, &["unknown preset `swin_tiny`", "swin_tiny_patch4_window7_224"]);
}
