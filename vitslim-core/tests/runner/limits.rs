//! Budgets for the network as a whole, in multiply-adds and parameters.

use serde_json::json;

use super::workspace::{TINY, Workspace, said};

const BUDGETS: &str = "Share({ \"hidden\": 0.1 }),";

/// TINY with `budgets` instead of its second one, and the first.
fn with(budgets: &str) -> String {
    let start = TINY.find("        Share({ \"head_dim\"").unwrap();
    let end = TINY.find(BUDGETS).unwrap() + BUDGETS.len();
    format!("{}        {budgets},{}", &TINY[..start], &TINY[end..])
}

#[test]
fn limits_are_kept_and_told_as_they_are_written() {
    let workspace = Workspace::new();
    let budgets =
        "Macs(0.5), Params(\"3.5 k\"), All([Share({ \"tokens\": 0.5 }), Macs(0.7), Params(0.7)]), Macs(1.0)";
    let file = workspace.write("tiny.ron", &with(budgets));

    let plan = workspace.vitslim(&["plan", "tiny.ron"]);
    let told = String::from_utf8_lossy(&plan.stdout).into_owned();
    assert!(plan.status.success(), "{}", said(&plan));
    for row in ["macs-0.5", "params-3.5k", "share-0.5-macs-0.7-params-0.7"] {
        assert!(told.contains(row), "{told}");
    }
    assert!(told.contains("smallest") && told.contains("asked") && told.contains("largest"), "{told}");

    let summary = workspace.run(&file, &[]);
    let dense = |of: &str| summary["dense"][of].as_u64().unwrap();
    let subnets = summary["subnets"].as_array().unwrap();
    let of = |index: usize, what: &str| subnets[index][what].as_u64().unwrap();
    let labels: Vec<_> = subnets.iter().map(|subnet| subnet["label"].clone()).collect();
    assert_eq!(labels, ["macs-0.5", "params-3.5k", "share-0.5-macs-0.7-params-0.7", "macs-1"]);
    assert_eq!(subnets[0]["budget"], json!({ "macs": 0.5 }));
    assert_eq!(subnets[1]["budget"], json!({ "params": "3.5 k" }));
    let all = json!({ "all": [{ "share": { "tokens": 0.5 } }, { "macs": 0.7 }, { "params": 0.7 }] });
    assert_eq!(subnets[2]["budget"], all);

    // Nothing that is searched here costs more than a twentieth of the network.
    let macs = dense("macs");
    assert!((macs / 2 - macs / 20..=macs / 2).contains(&of(0, "macs")), "{} of {macs}", of(0, "macs"));
    assert!((3_300..=3_500).contains(&of(1, "params")), "{}", of(1, "params"));
    assert!(of(2, "macs") <= macs * 7 / 10 && of(2, "params") <= dense("params") * 7 / 10);
    assert!(subnets[2]["kept"]["tokens"].as_f64().unwrap() <= 0.5);
    assert_eq!((of(3, "macs"), of(3, "params")), (macs, dense("params")));
    for subnet in subnets {
        assert!(subnet["masked_vs_sliced"].as_f64().unwrap() < 1e-5, "{subnet}");
    }
}

#[test]
fn what_is_spared_stays_and_each_key_rounds_to_its_own_multiple() {
    let workspace = Workspace::new();
    // The search presses hard on heads, so that nothing of them stays but what is spared.
    let pressed = with("Macs(0.5)").replace("\"head_dim\": (weight: 1e-3)", "\"head_dim\": (weight: 1)");
    let text = pressed.replace(
        "    retrain: (",
        "    ranking: Value,\n    keep_at_least: { \"hidden\": Layer(5), \"head_dim\": Group(3) },\n    protect: [\"blocks.1.attn\"],\n    round_to: { \"hidden\": 4 },\n    retrain: (",
    );
    let file = workspace.write("tiny.ron", &text);
    let summary = workspace.run(&file, &[]);
    let plan = workspace.path("runs/tiny/seed=3/subnets/macs-0.5/plan.ron");
    let plan: vitslim_core::slim::Plan = ron::from_str(&std::fs::read_to_string(plan).unwrap()).unwrap();
    let kept = |path: &str| plan.get(path).unwrap().keep.len();
    let [macs, dense] = [&summary["subnets"][0], &summary["dense"]].map(|of| of["macs"].as_u64().unwrap());
    assert!(2 * macs <= dense, "rounded, {macs} of {dense}");
    assert_eq!(kept("blocks.1.attn.head_dim"), 16, "protected");
    for block in 0..2 {
        let hidden = kept(&format!("blocks.{block}.mlp.hidden"));
        assert!(hidden >= 8 && hidden % 4 == 0, "{hidden} hidden units");
    }
    let heads = plan.get("blocks.0.attn.head_dim").unwrap();
    assert!(heads.keep.len() < 16, "nothing else could be cut");
    for (head, dims) in heads.of.iter().enumerate() {
        let of_head = head * dims..(head + 1) * dims;
        assert!(
            heads.keep.iter().filter(|dim| of_head.contains(dim)).count() >= 3,
            "head {head} of {heads:?}"
        );
    }
}

#[test]
fn what_cannot_be_met_is_refused_before_anything_is_trained() {
    let workspace = Workspace::new();
    for (budgets, more, message) in [
        ("Macs(0.01)", "", "the budget `macs-0.01` cannot be met: it asks for"),
        (
            "Params(\"0.7 k\")",
            "",
            "the budget `params-0.7k` cannot be met: it asks for 700 parameters, and the smallest",
        ),
        ("Macs(0.3)", "protect: [\"blocks\", \"tokens\"], ", "the budget `macs-0.3` cannot be met"),
        ("Macs(\"9 G\")", "", "the budget `macs-9G` asks for 9000000000 MACs, but the dense network has 23"),
        ("Macs(0.5)", "round_to: { \"tokens\": 2 }, ", "\"tokens\" names tokens, which are not rounded"),
        (
            "Share({ \"hidden\": 0.1 })",
            "keep_at_least: { \"hidden\": Layer(10) }, ",
            "\"hidden\" keeps 7 of 64 masks, but `keep_at_least` and `protect` keep 20",
        ),
        (
            "Macs(0.5)",
            "keep_at_least: { \"hidden\": Layer(33) }, ",
            "\"hidden\" cannot keep 33 units of a layer: the largest has 32",
        ),
        ("Macs(0.5)", "protect: [\"block.0\"], ", "no dimension matches \"block.0\""),
    ] {
        let text = with(budgets).replace("    retrain: (", &format!("    {more}retrain: ("));
        workspace.write("tiny.ron", &text);
        for command in ["check", "plan", "run"] {
            let output = workspace.vitslim(&[command, "tiny.ron"]);
            let told = said(&output) + &String::from_utf8_lossy(&output.stdout);
            assert!(!output.status.success(), "{command} takes {budgets} {more}");
            assert!(
                told.contains(message),
                "{command} {budgets} {more} does not say `{message}` but: {told}"
            );
        }
        assert!(!workspace.path("runs/tiny/seed=3/metrics.jsonl").exists());
    }
}

#[test]
fn in_a_sweep_the_trial_whose_budget_cannot_be_met_is_named() {
    let workspace = Workspace::new();
    let spared = "    protect: Sweep([[], [\"blocks\", \"tokens\"]]),\n    retrain: (";
    workspace.write("tiny.ron", &with("Macs(0.3)").replace("    retrain: (", spared));
    for command in ["check", "plan", "run"] {
        let told = said(&workspace.vitslim(&[command, "tiny.ron"]));
        for message in ["the trial protect=blocks-tokens", "cannot be planned", "`macs-0.3` cannot be met"] {
            assert!(told.contains(message), "{command} does not say `{message}` but: {told}");
        }
    }
}

/// Without heads, the class token sees no patch: a search that presses on them alone must not leave it so.
#[test]
fn a_limit_leaves_what_an_image_needs_to_get_through_whatever_the_masks_are() {
    let workspace = Workspace::new();
    let blind = with("Macs(0.12)")
        .replace("\"head_dim\": (weight: 1e-3)", "\"head_dim\": (weight: 1)")
        .replace("    retrain: (", "    ranking: Value,\n    retrain: (");
    let file = workspace.write("tiny.ron", &blind);
    let summary = workspace.run(&file, &[]);
    let subnet = &summary["subnets"][0];
    assert!(subnet["macs"].as_u64().unwrap() <= summary["dense"]["macs"].as_u64().unwrap() * 12 / 100);
    assert!(subnet["kept"]["head_dim"].as_f64().unwrap() > 0.0, "{subnet}");
}
