//! The CPU runs out of memory, and how much of it a plan predicts.

use serde_json::{Value, json};

use super::workspace::{self, TINY, VITSLIM, Workspace, said};

#[test]
fn the_cpu_out_of_memory_is_one_sentence_with_what_to_do() {
    let workspace = Workspace::new();
    let large = TINY
        .replace("patch_size: 4, dim: 16, depth: 2", "patch_size: 1, dim: 128, depth: 12")
        .replace("pretrain: (epochs: 2, batch: 128", "pretrain: (epochs: 2, batch: 1000");
    workspace.write("large.ron", &large);
    let run = |sets: &[&str]| {
        let script = "ulimit -v 2000000; exec \"$0\" \"$@\"";
        let args = [&["-c", script, VITSLIM, "run", "large.ron"], sets].concat();
        let output = workspace.command("sh", &args).env("NO_COLOR", "1").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{}", said(&output));
        output
    };
    let expected = "pretrain ran out of memory on the device, at a batch of 1000 images: compute the batch in more parts with \
                    `--set pretrain.accumulate=2`, or make it smaller";
    let output = run(&[]);
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(text.lines().last().unwrap().starts_with(expected), "{text}");
    for noise in ["panicked", "memory allocation of", "backtrace"] {
        assert!(!text.contains(noise), "{text}");
    }

    // A sweep says it too.
    run(&["--set", "seed=Sweep([1])"]);
    let sweep = workspace::json(&workspace.path("runs/tiny/sweep.json"));
    assert!(sweep["trials"][0]["failure"].as_str().unwrap().starts_with(expected), "{sweep}");
}

#[test]
fn a_plan_tells_the_memory_of_each_stage_and_the_most() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    let plan = |sets: &[&str]| -> Value {
        let args = [&["plan", "tiny.ron", "--no-times", "--json"], sets].concat();
        let output = workspace.vitslim(&args);
        assert!(output.status.success(), "{}", said(&output));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["trials"][0].clone()
    };
    let of_stages = |trial: &Value| -> Vec<(String, u64)> {
        let stages = trial["stages"].as_array().unwrap().iter();
        stages
            .map(|stage| (stage["stage"].as_str().unwrap().to_owned(), stage["memory"].as_u64().unwrap()))
            .collect()
    };
    let whole = plan(&[]);
    let stages = of_stages(&whole);
    let (most, bytes) = stages.iter().max_by_key(|(_, bytes)| *bytes).unwrap();
    assert_eq!(whole["memory"], json!({ "bytes": bytes, "stage": most }));
    // Gated weights are beside the others, and sub-networks are smaller.
    assert_eq!(most, "search");
    assert!(stages[2].1 < stages[0].1 && stages[3].1 < stages[0].1, "{stages:?}");

    let parts = of_stages(&plan(&["--set", "search.accumulate=4"]));
    assert!(parts[1].1 < stages[1].1 && parts[0] == stages[0], "{parts:?}");
    let again = of_stages(&plan(&["--set", "search.checkpointing=true"]));
    assert!(again[1].1 < stages[1].1 && again[0] == stages[0], "{again:?}");

    let told = workspace.vitslim(&["plan", "tiny.ron", "--no-times"]);
    let told = String::from_utf8_lossy(&told.stdout).into_owned();
    assert!(told.contains("memory as it is predicted for the stage that needs most: search"), "{told}");
}

#[test]
fn a_check_refuses_what_needs_more_memory_than_the_device_has() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    let data = "data=Random(image_size: 8, channels: 1, classes: 10, images: 100000)";
    let sets =
        ["search.batch=80000", "model.config.patch_size=1", "model.config.dim=64", "model.config.depth=12"];
    let search = sets.map(|set| ["--set", set]).concat();
    let check = |args: &[&str]| {
        let output = workspace.vitslim(&[&["check", "tiny.ron", "--set", data], args].concat());
        (output.status.code(), said(&output))
    };
    assert_eq!(check(&[]).0, Some(0));
    for more in [&[][..], &["--set", "seed=Seeds(2)"], &["--device", "cpu"]] {
        let (code, printed) = check(&[&search[..], more].concat());
        assert_eq!(code, Some(1), "{printed}");
        let told = printed.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains("search needs about") && told.contains("which fit, with"), "{printed}");
        assert_eq!(told.matches("search needs about").count(), 1, "{printed}");
        assert!(!told.contains("pretrain needs"), "{printed}");
    }
    // Devices that share a batch need less, and another machine has other devices.
    for elsewhere in ["[\"cpu\", \"cpu\"]", "[\"cuda:63\"]"] {
        let set = format!("devices={elsewhere}");
        let (code, printed) = check(&[&search[..], &["--set", &set]].concat());
        assert_eq!(code, Some(0), "{printed}");
    }
}
