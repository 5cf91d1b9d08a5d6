//! What `vitslim slim` and `vitslim frontier` refuse, and leave as it was.

use std::fs;

use super::slim::{FIRST, RUN, WITHOUT_RETRAINING, assert_refused, slim};
use super::workspace::{TINY, Workspace, json};

#[test]
fn what_cannot_be_cut_is_refused_before_anything_is_computed() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &TINY.replace(FIRST, ""));
    workspace.run(&file, &WITHOUT_RETRAINING);
    let run = workspace.path(RUN);
    let slim_of = |budget: &'static str| ["slim", RUN, "--budget", budget];
    for (budget, reasons) in [
        ("Mac(0.4)", &["--budget:1:1", "unknown variant `Mac`", "did you mean `Macs`"][..]),
        ("Macs(0.4", &["--budget:1:9", "is not closed"]),
        (" ", &["there is no budget here", "`--budget 'Macs(0.4)'`"]),
        ("Share({\"hiden\": 0.4})", &["--budget:1:8", "did you mean \"hidden\"?"]),
        ("Share({\"width\": 0.4})", &["--budget:1:8", "is not searched"]),
        ("Macs(1.4)", &["--budget:1:6", "more than the dense network"]),
        ("Macs(0.001)", &["the budget `macs-0.001` cannot be met", "ask for a share of"]),
        ("Macs(Sweep([0.4, 0.5]))", &["this experiment has 2 trials, and one is needed here"]),
    ] {
        assert_refused(&workspace, &slim_of(budget), reasons);
    }
    let twice = [&slim_of("Macs(0.4)")[..], &["--budget", "Macs(0.4)"]].concat();
    assert_refused(&workspace, &twice, &["this budget is written twice"]);
    let retrained = [&slim_of("Macs(0.4)")[..], &["--retrain"]].concat();
    assert_refused(&workspace, &retrained, &["this run retrains nothing", "leave out `--retrain`"]);
    let subnet = ["slim", &format!("{RUN}/share-0.1"), "--budget", "Macs(0.4)"];
    assert_refused(
        &workspace,
        &subnet,
        &["share-0.1` is a sub-network, and a run is needed", "name its run"],
    );
    let export = |out: &'static str| ["--export", "onnx", "--out", out];
    let several = [&slim_of("Macs(0.4)")[..], &["--budget", "Macs(0.5)"], &export("a.onnx")].concat();
    assert_refused(&workspace, &several, &["`--out` is one file, and 2 budgets leave as many"]);
    let there = [&slim_of("Macs(0.4)")[..], &export("tiny.ron")].concat();
    assert_refused(&workspace, &there, &["there is a `tiny.ron` already", "`--force`"]);
    let export = |out: &'static str| ["--export", "pytorch", "--out", out];
    let unnamed = [&slim_of("Macs(0.4)")[..], &export("net.txt")].concat();
    assert_refused(&workspace, &unnamed, &["Python cannot import `net.txt`", "ends in `.py`"]);
    workspace.write("net.safetensors", "");
    let beside = [&slim_of("Macs(0.4)")[..], &export("net.py")].concat();
    assert_refused(&workspace, &beside, &["there is a `net.safetensors` already"]);

    let held = fs::File::options().write(true).open(run.join("lock")).unwrap();
    held.lock().unwrap();
    assert_refused(&workspace, &slim_of("Macs(0.4)"), &["is in use by process"]);
    assert_refused(&workspace, &["frontier", RUN], &["is in use by process"]);
    drop(held);

    let search = "no network can be cut out of the run in `runs/tiny/seed=3`: its `search` is not complete";
    for (name, change, flaw) in [
        ("checkpoints/search/model-2.ckpt", None, "model-2.ckpt` is missing"),
        ("checkpoints/search/model-2.ckpt", Some("x".to_owned()), "model-2.ckpt` is damaged"),
        ("metrics.jsonl", Some(String::new()), "metrics.jsonl` lacks lines of this stage"),
    ] {
        let path = run.join(name);
        let bytes = fs::read(&path).unwrap();
        match change {
            None => fs::remove_file(&path).unwrap(),
            Some(text) => fs::write(&path, text).unwrap(),
        }
        for args in [&slim_of("Macs(0.4)")[..], &["frontier", RUN]] {
            assert_refused(&workspace, args, &[search, flaw, "give the command of the run again"]);
        }
        fs::write(&path, bytes).unwrap();
    }
    let data = fs::read_to_string(run.join("data.json")).unwrap();
    fs::write(run.join("data.json"), data.replacen("\"sha256\": \"", "\"sha256\": \"x", 1)).unwrap();
    for args in [&slim_of("Macs(0.4)")[..], &["frontier", RUN]] {
        assert_refused(&workspace, args, &["the data are not those of the run", "the training split"]);
    }
    fs::write(run.join("data.json"), data).unwrap();

    // What `vitslim gc` leaves is enough, and the label of another budget is not taken.
    assert!(workspace.vitslim(&["gc", "--yes"]).status.success());
    let budgets =
        ["Share({\"head_dim\": 0.1})", "Share({\"head_dim\": 0.3})", "Share({\"blocks.0.mlp.hidden\": 0.1})"];
    let args: Vec<&str> = budgets.iter().flat_map(|budget| ["--budget", budget]).collect();
    let (summary, _) = slim(&workspace, RUN, &args);
    let labels = [0, 1, 2].map(|index| summary["subnets"][index]["label"].clone());
    assert_eq!(labels, ["share-0.1-2", "share-0.3", "share-0.1-3"]);
    let added = |budget: &str| TINY.replace(FIRST, "").replace("0.1 }),", &format!("0.1 }}), {budget},"));
    workspace.write("tiny.ron", &added("Share({ \"hidden\": 0.3 })"));
    let taken =
        ["share-0.3` is a sub-network of another budget", "`vitslim slim`", "checkpoints/retrain/share-0.3"];
    assert_refused(&workspace, &[&["run", "tiny.ron"][..], &WITHOUT_RETRAINING].concat(), &taken);
    workspace.write("tiny.ron", &added(budgets[2]));
    let both = [
        "share-0.1-2` is a sub-network of another budget",
        "that of the budget that is added is `share-0.1-3` there",
    ];
    assert_refused(&workspace, &[&["run", "tiny.ron"][..], &WITHOUT_RETRAINING].concat(), &both);
    workspace.write("tiny.ron", &added("Share({ \"head_dim\": 0.3 })"));
    let summary = workspace.run(&file, &WITHOUT_RETRAINING);
    assert_eq!(summary["subnets"][1], json(&run.join("summary.json"))["subnets"][1]);
    let changed = [&["run", "tiny.ron", "--set", "cut=Hard"][..], &WITHOUT_RETRAINING].concat();
    assert_refused(&workspace, &changed, &["holds the results of another experiment"]);
}
