//! Checks the summary of the quickstart against what the README claims of it; CI runs it after the quickstart.

use std::process::ExitCode;

use serde_json::Value;

fn main() -> ExitCode {
    let Some(path) = std::env::args().nth(1) else {
        eprintln!("usage: quickstart_holds SUMMARY.JSON");
        return ExitCode::from(2);
    };
    let text = std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let summary: Value = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{path}: {error}"));

    let number = |value: &Value| value.as_f64().expect("a number");
    let dense = number(&summary["dense"]["top1"]);
    let subnets = summary["subnets"].as_array().expect("sub-networks");
    let half = subnets.iter().find(|s| s["label"] == "share-0.5-0.5-0.7").expect("the half");
    let retrained = number(&half["top1_retrained"]);
    let difference = subnets.iter().map(|s| number(&s["masked_vs_sliced"])).fold(0.0, f64::max);
    let claims = [
        ("three budgets from one search", subnets.len() == 3),
        ("dense top-1 of at least 0.95", dense >= 0.95),
        ("half of the units within 0.025 of dense", retrained >= dense - 0.025),
        ("masked_vs_sliced at most 1e-5", difference <= 1e-5),
    ];
    for (claim, holds) in claims {
        println!("{} {claim}", if holds { "ok:" } else { "FAILED:" });
    }
    if claims.iter().all(|(_, holds)| *holds) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
