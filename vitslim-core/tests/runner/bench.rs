//! `vitslim bench`: which networks are measured, and what is told of them.

use serde_json::Value;

use super::workspace::{TINY, Workspace, said};

const RUN: &str = "runs/tiny/seed=3";

#[track_caller]
fn measured(workspace: &Workspace, args: &[&str]) -> Value {
    measured_with(workspace, &[&["--batch", "4", "--rounds", "2"], args].concat())
}

#[track_caller]
fn measured_with(workspace: &Workspace, args: &[&str]) -> Value {
    let output = workspace.vitslim(&[&["bench", "--json"], args].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn names(experiment: &Value) -> Vec<&str> {
    experiment["networks"]
        .as_array()
        .unwrap()
        .iter()
        .map(|network| network["name"].as_str().unwrap())
        .collect()
}

#[test]
fn an_experiment_is_measured_as_initialised_and_cut_at_random() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let found = measured(&workspace, &[file.to_str().unwrap()]);
    assert!(!workspace.path("runs").exists(), "nothing is written");
    assert_eq!((found["batch"].as_u64(), found["rounds"].as_u64()), (Some(4), Some(2)));
    assert!(found["device"].as_str().unwrap().contains("threads"));
    let experiment = &found["experiments"][0];
    assert_eq!(names(experiment), ["dense", "share-0.5-0.5-0.7", "share-0.1"]);
    let networks = experiment["networks"].as_array().unwrap();
    for network in networks {
        for step in ["training", "inference"] {
            let timing = &network[step];
            let spread =
                ["lower", "median", "upper"].map(|part| timing["milliseconds"][part].as_f64().unwrap());
            assert!(0.0 < spread[0] && spread.is_sorted(), "{timing}");
            let images = timing["images_per_second"].as_f64().unwrap();
            assert!((images * spread[1] - 4000.0).abs() < 1e-6, "{timing}");
        }
        assert_eq!(network["search"].is_object(), network["name"] == "dense");
    }
    assert!(experiment["search_over_training"]["median"].as_f64().unwrap() > 0.0);
    assert_eq!(networks[0]["inference_speedup"]["median"], 1.0);

    // A share of hidden units costs the same wherever they are cut.
    let summary = workspace.run(&file, &[]);
    for (network, result) in [(0, &summary["dense"]), (2, &summary["subnets"][1])] {
        assert_eq!(networks[network]["params"], result["params"]);
        assert_eq!(networks[network]["macs"], result["macs"]);
    }

    assert_eq!(experiment["precision"], "f32");
    let set = measured(&workspace, &[file.to_str().unwrap(), "--set", "precision=Bf16"]);
    assert_eq!(set["experiments"][0]["precision"], "bf16");

    // A search step is measured with its teacher, which must be there.
    let taught = "search.teacher=Dense";
    measured(&workspace, &[file.to_str().unwrap(), "--set", taught]);
    let taught = "search.teacher=(pretrained: \"gone.safetensors\")";
    let output = workspace.vitslim(&["bench", file.to_str().unwrap(), "--set", taught]);
    assert!(said(&output).contains("`gone.safetensors` does not exist"), "{}", said(&output));

    let whole = measured(&workspace, &[RUN]);
    let experiment = &whole["experiments"][0];
    assert_eq!(names(experiment), ["dense", "share-0.1", "share-0.5-0.5-0.7"]);
    assert_eq!(experiment["networks"][2]["macs"], summary["subnets"][0]["macs"]);

    let [first, second] = ["share-0.5-0.5-0.7", "subnets/share-0.1"].map(|label| format!("{RUN}/{label}"));
    let together = measured(&workspace, &[&first, &second, file.to_str().unwrap()]);
    assert_eq!(names(&together["experiments"][0]), ["dense", "share-0.5-0.5-0.7", "share-0.1"]);
    assert_eq!(together["experiments"].as_array().unwrap().len(), 2);
}

#[test]
fn random_data_are_enough_and_a_table_is_told() {
    let workspace = Workspace::new();
    let data = "Random(image_size: 8, channels: 2, classes: 7, images: 200)";
    let file = workspace.write("tiny.ron", &TINY.replace("Digits", data));
    let output = workspace.vitslim(&["bench", file.to_str().unwrap(), "--batch", "32", "--seconds", "0"]);
    assert!(output.status.success(), "{}", said(&output));
    let table = String::from_utf8_lossy(&output.stdout).into_owned();
    for part in ["images of 2 x 8 x 8", "a search step takes", "3 rounds at a batch of 32 on cpu"] {
        assert!(table.contains(part), "{part} is not in\n{table}");
    }
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn loaders_are_measured_without_a_network() {
    let workspace = Workspace::new();
    let data = "Random(image_size: 8, channels: 2, classes: 7, images: 200)";
    let file = workspace.write("tiny.ron", &TINY.replace("Digits", data));
    let loader = [file.to_str().unwrap(), "--loader", "--rounds", "1"];
    let found = measured_with(&workspace, &loader);
    assert_eq!((found["batch"].as_u64(), found["rounds"].as_u64()), (Some(16), Some(1)));
    let experiment = &found["experiments"][0];
    assert_eq!((experiment["channels"].as_u64(), experiment["threads"].as_u64()), (Some(2), Some(0)));
    for kind in ["training", "evaluation"] {
        let speed = &experiment[format!("{kind}_images_per_second")];
        assert!(speed["median"].as_f64().unwrap() > 0.0, "{speed}");
    }
    let threads = [&loader[..], &["--loader-threads", "3"]].concat();
    assert_eq!(measured_with(&workspace, &threads)["experiments"][0]["threads"], 3);
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let file = file.to_str().unwrap();
    for (args, code, expected) in [
        (&["nowhere"][..], 1, "there is no folder `nowhere`"),
        (&["nowhere.ron"], 1, "`nowhere.ron` does not exist"),
        (&[], 2, "TARGET"),
        (&[file, "--batch", "0"], 2, "--batch"),
        (&[file, "--rounds", "0"], 2, "--rounds"),
        (&[file, "--rounds", "1", "--seconds", "1"], 2, "cannot be used with"),
        (&[file, "--loader", "--device", "cpu"], 2, "cannot be used with"),
        (&[file, "--loader-threads", "2"], 2, "--loader"),
        (&[file, "--kernels", "--loader"], 2, "cannot be used with"),
        (&[file, "--kernels", "--rounds", "1"], 2, "cannot be used with"),
        (
            &[file, "--kernels", "--device", "cpu"],
            1,
            "`--kernels` counts what steps ask of a GPU, and this is cpu",
        ),
        (&[file, "--loader", "--loader-threads", "257"], 2, "257"),
    ] {
        let output = workspace.vitslim(&[&["bench"], args].concat());
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {printed}");
        assert!(printed.contains(expected), "{args:?} does not say `{expected}` but: {printed}");
    }
}

#[test]
fn a_profile_has_all_multiply_adds_and_the_whole_time_of_a_step() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let file = file.to_str().unwrap();
    let found = measured(&workspace, &[file, "--profile"]);
    let macs = measured(&workspace, &[file])["experiments"][0]["networks"].clone();
    let networks = found["networks"].as_array().unwrap();
    assert_eq!(networks.len(), 3);
    for (network, counted) in networks.iter().zip(macs.as_array().unwrap()) {
        assert_eq!(network["name"], counted["name"]);
        assert!(network["most"].as_f64().unwrap() > 0.0);
        let steps = network["steps"].as_array().unwrap();
        for (step, (name, products)) in steps.iter().zip([("training", 3.0), ("inference", 1.0)]) {
            assert_eq!(step["step"], name);
            let operations = step["operations"].as_array().unwrap();
            let number = |of: &Value, name: &str| of[name].as_f64().unwrap();
            let times: Vec<f64> = operations.iter().map(|of| number(of, "milliseconds")).collect();
            assert!(times.is_sorted_by(|a, b| a >= b) && times.iter().all(|time| *time > 0.0), "{step}");
            let with_products = operations.iter().filter(|of| !of["gflops"].is_null());
            let flops: f64 =
                with_products.map(|of| 1e6 * number(of, "gflops") * number(of, "milliseconds")).sum();
            let expected = 2.0 * products * 4.0 * number(counted, "macs");
            assert!((flops / expected - 1.0).abs() < 1e-6, "{name}: {flops} of {expected}");
            let share = number(&operations[0], "milliseconds") / number(step, "milliseconds");
            assert!((number(&operations[0], "share") / share - 1.0).abs() < 1e-6, "{step}");
        }
    }
    let table = workspace.vitslim(&["bench", file, "--profile", "--batch", "4", "--rounds", "1"]);
    let table = String::from_utf8_lossy(&table.stdout).into_owned();
    for expected in
        ["tiny, dense, training, in f32: at most", "all else", "whole step", "layer norm", "attention"]
    {
        assert!(table.contains(expected), "{expected}: {table}");
    }
}
