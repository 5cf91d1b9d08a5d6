//! Where can be computed, and where is. Where CUDA is compiled in, what is said depends on the machine.

use std::process::Output;

use serde_json::Value;

use super::workspace::{TINY, VITSLIM, Workspace, said};

const CUDA: bool = cfg!(feature = "cuda");

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    assert!(!said(output).contains("panicked"), "{}", said(output));
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[test]
fn a_number_of_threads_that_is_none_is_refused() {
    let workspace = Workspace::new();
    let mut command = workspace.command(VITSLIM, &["devices"]);
    let output = command.env("RAYON_NUM_THREADS", "two").output().unwrap();
    let printed = said(&output);
    assert_eq!(output.status.code(), Some(1), "{printed}");
    assert!(printed.contains("RAYON_NUM_THREADS is `two`, but must be the number"), "{printed}");
}

#[test]
fn devices_are_listed() {
    let workspace = Workspace::new();
    let devices = |args: &[&str]| {
        let mut command = workspace.command(VITSLIM, &[&["devices"], args].concat());
        stdout(&command.env("RAYON_NUM_THREADS", "3").output().unwrap())
    };
    let table = devices(&[]);
    let cpu = table.lines().nth(1).unwrap();
    assert!(cpu.starts_with("cpu ") && cpu.contains("GiB") && cpu.contains("3 threads"), "{table}");

    let found: Value = serde_json::from_str(&devices(&["--json"])).unwrap();
    assert_eq!(found["cpu"]["threads"], 3);
    assert!(found["cpu"]["memory"].as_u64().unwrap() > 1 << 26, "{found}");
    assert!(cpu.contains(found["cpu"]["name"].as_str().unwrap()), "{found}");
    let cuda = &found["cuda"];
    let (devices, trouble) = (cuda["devices"].as_array().unwrap(), cuda["trouble"].as_str());
    assert!(!devices.is_empty() || trouble.is_some(), "{found}");
    for device in devices {
        assert!(table.contains(device["name"].as_str().unwrap()), "{table}");
    }
    if !CUDA {
        assert!(trouble.unwrap().contains("built without CUDA; build it with `cargo build"), "{found}");
        assert!(table.contains("CUDA cannot be used: this vitslim was built without CUDA"), "{table}");
    }
}

#[test]
fn an_automatic_device_is_told() {
    let workspace = Workspace::new();
    let data = "Random(image_size: 8, channels: 2, classes: 7, images: 200)";
    workspace.write("tiny.ron", &TINY.replace("Digits", data));
    let bench = ["bench", "tiny.ron", "--json", "--batch", "4", "--rounds", "1"];
    let output = workspace.vitslim(&[&bench[..], &["--device", "auto"]].concat());
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    let (printed, device) = (said(&output), found["device"].as_str().unwrap());
    match device.starts_with("cuda:0") {
        true => assert!(printed.starts_with("device: cuda:0, "), "{printed}"),
        false => assert!(printed.starts_with("device: cpu, because "), "{printed}"),
    }
    assert_eq!(printed.lines().count(), 1, "{printed}");
    if !CUDA {
        assert_eq!(printed, "device: cpu, because this vitslim was built without CUDA");
        // Nobody expects anything else than the CPU there, so that nothing is said.
        let output = workspace.vitslim(&bench);
        assert_eq!((stdout(&output).is_empty(), said(&output).as_str()), (false, ""));
    }
    let output = workspace.vitslim(&[&bench[..], &["--device", "cpu"]].concat());
    let found: Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert!(found["device"].as_str().unwrap().starts_with("cpu, "), "{found}");
    assert_eq!(said(&output), "");
}

#[test]
fn devices_that_cannot_be_had_are_refused_before_anything_is_written() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    for command in ["run", "bench"] {
        let on = |device: &str| workspace.vitslim(&[command, "tiny.ron", "--device", device]);
        let output = on("cuda:63");
        let printed = said(&output);
        assert_eq!(output.status.code(), Some(1), "{printed}");
        assert!(printed.contains("`cuda:63` was asked for, but th"), "{printed}");
        assert!(printed.contains("run with `--device cpu`") && !printed.contains("panicked"), "{printed}");
        if !CUDA {
            assert!(
                printed.contains("built without CUDA") && printed.contains("--features cuda"),
                "{printed}"
            );
        }
        // A name that is no device is a wrong command line.
        assert_eq!(on("gpu").status.code(), Some(2));
    }
    assert!(!workspace.path("runs").exists(), "something was written");
}

#[test]
fn help_tells_what_this_binary_has() {
    let workspace = Workspace::new();
    for command in ["run", "eval", "bench"] {
        let help = stdout(&workspace.vitslim(&[command, "--help"]));
        let default = match (command, CUDA) {
            ("run", true) => "else auto]",
            ("run", false) => "else cpu]",
            (_, true) => "[default: auto]",
            (_, false) => "[default: cpu]",
        };
        // A sentence may be broken anywhere.
        let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains("--device <DEVICE") && words.contains(default), "{help}");
        assert_eq!(words.contains("built without CUDA"), !CUDA, "{help}");
    }
}
