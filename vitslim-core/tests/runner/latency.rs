//! Budgets for the time of a forward pass. What they take is never asserted: only that it is asked for, predicted, measured and kept.

use std::fs;

use serde_json::{Value, json};

use super::workspace::{TINY, Workspace, json, keeping_all, said};

const RUN: &str = "runs/tiny/seed=3";

/// TINY with `budgets` alone.
fn with(budgets: &str) -> String {
    let start = TINY.find("        Share({ \"head_dim\"").unwrap();
    let end = TINY.find("    ],\n    retrain").unwrap();
    format!("{}        {budgets},\n{}", &TINY[..start], &TINY[end..])
}

#[test]
fn a_network_is_cut_by_its_latency_and_stays_as_it_was_cut() {
    let workspace = Workspace::new();
    let file = workspace
        .write("tiny.ron", &keeping_all(&with("Latency(most: 0.95), Latency(most: \"1 s\", batch: 2)")));
    let plan = workspace.vitslim(&["plan", "tiny.ron", "--no-times", "--json"]);
    assert!(plan.status.success(), "{}", said(&plan));
    let plan: Value = serde_json::from_slice(&plan.stdout).unwrap();
    let limit = &plan["trials"][0]["subnets"][0]["limits"][0];
    assert_eq!((&limit["of"], &limit["unit"]), (&json!("latency at a batch of 1"), &json!("ns")));
    let [smallest, asked, largest] = ["smallest", "asked", "largest"].map(|of| limit[of].as_u64().unwrap());
    assert!(0 < smallest && smallest <= asked && asked.abs_diff(largest * 95 / 100) <= 1, "{limit}");
    let told = workspace.vitslim(&["plan", "tiny.ron", "--no-times"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("latency at a") && told.contains(" us") && told.contains("1 s"), "{told}");
    // It stands in the folder that the tests name, and is read from there: measured anew, it would differ.
    let tables = || -> Vec<_> {
        let files = fs::read_dir(workspace.cache()).unwrap().map(|file| file.unwrap());
        let tables = files.filter(|file| file.file_name().to_string_lossy().starts_with("latency-"));
        tables.map(|file| fs::read(file.path()).unwrap()).collect()
    };
    let table = tables();
    assert_eq!(table.len(), 1);
    assert!(workspace.vitslim(&["plan", "tiny.ron", "--no-times"]).status.success());
    assert!(tables() == table, "it was measured again");

    let summary = workspace.run(&file, &[]);
    let subnets = summary["subnets"].as_array().unwrap();
    assert_eq!([&subnets[0]["label"], &subnets[1]["label"]], ["latency-0.95", "latency-1s-batch-2"]);
    assert_eq!(subnets[0]["budget"], json!({ "latency": { "most": 0.95, "batch": 1 } }));
    for (subnet, batch) in subnets.iter().zip([1, 2]) {
        let latency = &subnet["latency"];
        assert_eq!(latency["batch"], batch);
        let times = ["asked", "predicted", "measured"].map(|of| latency[of].as_f64().unwrap());
        assert!(times.iter().all(|time| *time > 0.0), "{latency}");
        assert!(latency["device"].as_str().unwrap().starts_with("cpu, "), "{latency}");
    }
    assert_eq!(
        (&subnets[1]["params"], &subnets[1]["macs"]),
        (&summary["dense"]["params"], &summary["dense"]["macs"])
    );
    let table = workspace.vitslim(&["run", "tiny.ron"]);
    let table = String::from_utf8_lossy(&table.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(table.contains("latency-1s-batch-2: asked 1 s at a batch of 2, predicted "), "{table}");
    let page = fs::read_to_string(workspace.path(RUN).join("report.html")).unwrap();
    assert!(page.contains("latency-1s-batch-2: asked 1 s at a batch of 2, predicted "));

    // It resumes before the first epoch of the retraining with the same plan, though by now it would measure something else.
    let run = workspace.path(RUN);
    let subnet = run.join("subnets/latency-0.95");
    let mut settled = json(&subnet.join("latency.json"));
    let of_first = |settled: &Value, name: &str| {
        let cuts = settled["plan"]["cuts"].as_array().unwrap();
        cuts.iter().position(|cut| cut["dimension"].as_str().unwrap().ends_with(name)).unwrap()
    };
    let hidden = of_first(&settled, "hidden");
    settled["plan"]["cuts"][hidden]["keep"] = json!([0, 1, 2]);
    fs::write(subnet.join("latency.json"), settled.to_string()).unwrap();
    for gone in [run.join("summary.json"), subnet.join("result.json"), subnet.join("model.safetensors")] {
        fs::remove_file(gone).unwrap();
    }
    fs::remove_dir_all(run.join("checkpoints/retrain/latency-0.95")).unwrap();
    let again = workspace.run(&file, &[]);
    assert_eq!(again["subnets"][0]["latency"], subnets[0]["latency"]);
    assert_eq!(again["subnets"][1], subnets[1]);
    let plan: vitslim_core::slim::Plan =
        ron::from_str(&fs::read_to_string(subnet.join("plan.ron")).unwrap()).unwrap();
    assert_eq!(plan.cuts[hidden].keep, [0, 1, 2]);
    assert!(subnet.join("model.safetensors").exists());

    fs::write(subnet.join("latency.json"), "{").unwrap();
    for gone in [run.join("summary.json"), subnet.join("result.json")] {
        fs::remove_file(gone).unwrap();
    }
    let output = workspace.vitslim(&["run", "tiny.ron"]);
    let told = said(&output);
    assert!(!output.status.success() && told.contains("latency.json` is damaged"), "{told}");
    assert!(told.contains("delete it to measure and cut again"), "{told}");
}

#[test]
fn trials_that_disturb_one_another_are_told() {
    let workspace = Workspace::new();
    let sets = ["seed=Sweep([3, 4])", "pretrain=None", "retrain=None", "importance=Random"];
    let sets: Vec<&str> = sets.iter().flat_map(|set| ["--set", set]).collect();
    workspace.write("tiny.ron", &with("Latency(most: 0.95)"));
    let run = |more: &[&str]| {
        let output = workspace.vitslim(&[&["run", "tiny.ron"], &sets[..], more].concat());
        assert!(output.status.success(), "{}", said(&output));
        said(&output)
    };
    let note = "note: trials slow each other down, so their latencies are measured wrong";
    assert!(run(&["--jobs", "2"]).contains(note));
    assert!(!run(&["--fresh"]).contains(note));
    let csv = fs::read_to_string(workspace.path("runs/tiny/sweep.csv")).unwrap();
    let mut rows = csv::Reader::from_reader(csv.as_bytes());
    let asked = rows.headers().unwrap().iter().position(|name| name == "latency_asked").unwrap();
    for row in rows.records() {
        let times: Vec<f64> =
            row.unwrap().iter().skip(asked).take(3).map(|time| time.parse().unwrap()).collect();
        assert!(times.iter().all(|time| *time > 0.0), "{times:?}");
    }
}

#[test]
fn what_is_no_latency_is_refused() {
    let workspace = Workspace::new();
    for (budgets, message) in [
        ("Latency(most: \"3 parsecs\")", "found \"3 parsecs\"; units are us, ms and s"),
        ("Latency(most: \"3\")", "a time with its unit in quotes, such as \"3 ms\""),
        ("Latency(most: \"0 ms\")", "a time with its unit in quotes, such as \"3 ms\""),
        ("Latency(most: 0)", "must be greater than 0 and at most 1, but is 0.0"),
        ("Latency(most: -0.5)", "must be greater than 0 and at most 1, but is -0.5"),
        ("Latency(most: 1.5)", "1.5 is more than the dense network"),
        ("Latency(most: 0.5, batch: 0)", "must be at least 1, but is 0"),
        ("Latency(most: 0.5, device: \"cpu\")", "unknown field `device`"),
        ("Latency(0.5)", "found values without names"),
        ("All([Latency(most: 0.5), Latency(most: 0.6, batch: 2)])", "this budget has two `Latency`s"),
    ] {
        workspace.write("tiny.ron", &with(budgets));
        let output = workspace.vitslim(&["check", "tiny.ron"]);
        let told = said(&output);
        assert!(
            !output.status.success() && told.contains(message),
            "{budgets} does not say `{message}` but: {told}"
        );
    }
    workspace.write("tiny.ron", &with("Latency(most: \"0.001 us\")"));
    for command in ["plan", "run"] {
        let output = workspace.vitslim(&[command, "tiny.ron"]);
        let message = "the budget `latency-0.001us` cannot be met: it asks for 0.001 us of latency at a batch of 1, and the smallest \
                       network that can be cut has ";
        let told = said(&output);
        assert!(!output.status.success() && told.contains(message), "{command} says: {told}");
    }
    assert!(!workspace.path(RUN).join("metrics.jsonl").exists());
    let output = workspace.vitslim(&["check", "tiny.ron"]);
    let told = String::from_utf8_lossy(&output.stdout).split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(output.status.success(), "{}", said(&output));
    assert!(told.contains("latency-0.001us is not cut by its latency"), "{told}");
}
