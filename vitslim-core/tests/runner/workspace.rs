//! A temporary folder to run `vitslim` in.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use tempfile::TempDir;

/// An experiment that takes seconds in a debug build.
pub const TINY: &str = r#"Experiment(
    name: "tiny",
    seed: 3,
    model: (architecture: "vit", config: (patch_size: 4, dim: 16, depth: 2, heads: 2, mlp_ratio: 2, drop_path: 0.1)),
    data: Digits,
    pretrain: (epochs: 2, batch: 128, optimizer: AdamW(lr: 2e-3), schedule: Cosine(warmup_epochs: 1), label_smoothing: 0.1),
    search: (
        epochs: 2,
        batch: 128,
        optimizer: AdamW(lr: 1e-3),
        masks: (lr: 5e-2),
        dimensions: {
            "head_dim": (weight: 1e-3),
            "hidden": (weight: 1e-4),
            "tokens": (weight: 1e-4, activation: Tanh, init: 3.0),
        },
    ),
    budgets: [
        Share({ "head_dim": 0.5, "hidden": 0.5, "tokens": 0.7 }),
        Share({ "hidden": 0.1 }),
    ],
    retrain: (epochs: 1, batch: 128, optimizer: AdamW(lr: 1e-3)),
)
"#;

/// `experiment`, all of whose checkpoints stay.
pub fn keeping_all(experiment: &str) -> String {
    experiment.replace("seed: 3,", "seed: 3,\n    keep: All,")
}

/// The binary.
pub const VITSLIM: &str = env!("CARGO_BIN_EXE_vitslim");

pub struct Workspace {
    folder: TempDir,
    /// What is kept of the images of a folder, and of latencies.
    cache: TempDir,
}

impl Workspace {
    pub fn new() -> Self {
        let [folder, cache] = [(), ()].map(|()| tempfile::tempdir().unwrap());
        Self { folder, cache }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The folder of what is kept from one command to the next.
    pub fn cache(&self) -> &Path {
        self.cache.path()
    }

    /// Writes an experiment and returns its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    pub fn vitslim(&self, args: &[&str]) -> Output {
        self.command(VITSLIM, args).env("NO_COLOR", "1").output().unwrap()
    }

    /// A command that runs in the folder.
    pub fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(args).current_dir(self.folder.path()).env("VITSLIM_CACHE", self.cache.path());
        // They would win over `NO_COLOR`.
        for colours in ["FORCE_COLOR", "CLICOLOR_FORCE"] {
            command.env_remove(colours);
        }
        command
    }

    /// Runs an experiment that must end well, and returns its summary.
    #[track_caller]
    pub fn run(&self, file: &Path, args: &[&str]) -> Value {
        let mut all = vec!["run", file.to_str().unwrap()];
        all.extend(args);
        let output = self.vitslim(&all);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let folder = printed.lines().find_map(|line| line.strip_prefix("results: ")).expect("the folder");
        json(&self.folder.path().join(folder).join("summary.json"))
    }
}

/// What a command printed on standard error, on one line: a report breaks its sentences to fit the terminal.
pub fn said(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    text.replace('│', " ").split_whitespace().collect::<Vec<_>>().join(" ")
}

pub fn json(path: &Path) -> Value {
    let text = std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_str(&text).unwrap()
}

/// A summary without what differs from run to run.
pub fn repeatable(mut summary: Value) -> Value {
    summary.as_object_mut().unwrap().remove("seconds").expect("seconds");
    for subnet in summary["subnets"].as_array_mut().unwrap() {
        for field in ["images_per_second", "speedup"] {
            subnet.as_object_mut().unwrap().remove(field).expect(field);
        }
    }
    summary
}
