//! Networks that teach others.

use std::fs;
use std::path::Path;
use std::process::Stdio;

use safetensors::SafeTensors;
use serde_json::Value;

use super::identity::{short, with_colours};
use super::resume::{metrics, stage_hit, wait_for_epochs};
use super::workspace::{TINY, VITSLIM, Workspace, json, repeatable, said};

/// The dense network of [`TINY`], trained.
const TEACHER: &str = "runs/tiny/seed=3";

/// A network of another architecture, on the same images.
const STUDENT: &str = r#"Experiment(
    name: "student",
    seed: 4,
    model: (architecture: "convnext", config: (patch_size: 2, depths: [1, 1], dims: [4, 8])),
    data: Digits,
    pretrain: (epochs: 2, batch: 128, optimizer: AdamW(lr: 1e-3), teacher: (pretrained: "runs/tiny/seed=3", kind: Hard)),
    search: (epochs: 2, batch: 128, optimizer: AdamW(lr: 1e-3), dimensions: { "hidden": (weight: 1e-4) }),
    budgets: [Share({ "hidden": 0.5 })],
    retrain: (epochs: 2, batch: 128, optimizer: AdamW(lr: 1e-3), teacher: Dense(features: 0.5)),
)
"#;

/// A workspace with the run of the teacher.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    workspace.run(&file, &["--quiet"]);
    workspace
}

/// Lines of a stage, without their times.
fn lines(run: &Path, stage: &str) -> Vec<Value> {
    metrics(run).into_iter().filter(|line| line["stage"] == stage).collect()
}

/// All that a command printed, on one line.
fn told(workspace: &Workspace, args: &[&str]) -> (bool, String) {
    let output = workspace.vitslim(args);
    let printed = String::from_utf8_lossy(&output.stdout);
    let flat = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    (output.status.success(), format!("{flat} {}", said(&output)))
}

#[test]
fn a_sweep_over_teachers_shares_all_that_no_teacher_changes() {
    let workspace = Workspace::new();
    let teachers = "teacher: Sweep([None, Dense, Dense(kind: Hard), Dense(kind: Soft(temperature: 1)), Dense(features: 0.5)])";
    let (before, retrain) = TINY.split_once("retrain: (epochs: 1,").unwrap();
    let file = workspace.write("tiny.ron", &format!("{before}retrain: (epochs: 1, {teachers},{retrain}"));
    let (succeeded, printed) = told(&workspace, &["run", file.to_str().unwrap()]);
    assert!(succeeded, "{printed}");
    let mut runs: Vec<_> = fs::read_dir(workspace.path("runs/tiny")).unwrap().flatten().collect();
    runs.retain(|run| run.path().join("summary.json").is_file());
    assert_eq!(runs.len(), 5);
    for stage in ["pretrain", "search"] {
        let of_stage: Vec<_> = runs.iter().map(|run| lines(&run.path(), stage)).collect();
        assert!(of_stage.windows(2).all(|pair| pair[0] == pair[1]), "{stage}");
    }
    let mut losses: Vec<String> =
        runs.iter().map(|run| lines(&run.path(), "retrain")[0]["train"]["loss"].to_string()).collect();
    losses.sort();
    losses.dedup();
    assert_eq!(losses.len(), 5, "{losses:?}");

    // Without a teacher it is as it was.
    let alone = workspace.write("alone.ron", &TINY.replace("\"tiny\"", "\"alone\""));
    workspace.run(&alone, &["--quiet"]);
    let alone = metrics(&workspace.path("runs/alone/seed=3"));
    assert!(runs.iter().any(|run| metrics(&run.path()) == alone));
}

#[test]
fn a_network_of_another_architecture_teaches_wherever_it_is_and_its_student_resumes_without_it() {
    let workspace = workspace();
    let student = workspace.write("student.ron", STUDENT);
    let summary = repeatable(workspace.run(&student, &["--quiet"]));
    let run = workspace.path("runs/student/seed=4");
    let text = fs::read_to_string(run.join("experiment.ron")).unwrap();
    assert!(text.contains("Hard(") && text.contains("Soft("), "{text}");

    // It changes what is learnt.
    workspace.run(&student, &["--quiet", "--out", "alone", "--set", "pretrain.teacher=None"]);
    assert_ne!(lines(&workspace.path("alone/student/seed=4"), "pretrain"), lines(&run, "pretrain"));

    // A file of the same network is the same teacher.
    let args = ["export", TEACHER, "--to", "safetensors", "--out", "teacher.safetensors"];
    assert!(workspace.vitslim(&args).status.success());
    let of_file = "pretrain.teacher.pretrained=\"teacher.safetensors\"";
    let other = workspace.run(&student, &["--quiet", "--out", "other", "--set", of_file]);
    assert_eq!(repeatable(other), summary);
    assert_eq!(metrics(&workspace.path("other/student/seed=4")), metrics(&run));
    assert_eq!(json(&workspace.path("other/student/seed=4/data.json")), json(&run.join("data.json")));
    // So is one that knows nothing but its weights, if the experiment says the rest.
    let bytes = fs::read(workspace.path("teacher.safetensors")).unwrap();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let bare = safetensors::serialize(tensors.tensors(), None).unwrap();
    fs::write(workspace.path("bare.safetensors"), bare).unwrap();
    let of_bare = "pretrain.teacher=(pretrained: \"bare.safetensors\", architecture: \"vit\", config: (patch_size: 4, dim: 16, \
                   depth: 2, heads: 2, mlp_ratio: 2), kind: Hard)";
    workspace.run(&student, &["--quiet", "--out", "bare", "--set", of_bare]);
    assert_eq!(metrics(&workspace.path("bare/student/seed=4")), metrics(&run));

    // Killed while it learns from either teacher, and the first one gone, it goes on and ends the same.
    fs::remove_dir_all(workspace.path("other")).unwrap();
    for lines in [1, 5] {
        let args = ["run", student.to_str().unwrap(), "--out", "other"];
        let mut command = workspace.command(VITSLIM, &args);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        wait_for_epochs(&workspace.path("other/student/seed=4"), lines, &mut child);
        child.kill().unwrap();
        child.wait().unwrap();
    }
    let hit = stage_hit(&workspace.path("other/student/seed=4"), &metrics(&run));
    assert!(hit.is_some_and(|stage| stage == "retrain"), "not killed in time");
    fs::rename(workspace.path("runs/tiny"), workspace.path("gone")).unwrap();
    let (succeeded, printed) = told(&workspace, &["run", student.to_str().unwrap(), "--out", "elsewhere"]);
    assert!(!succeeded && printed.contains("`runs/tiny/seed=3` does not exist"), "{printed}");
    let (succeeded, printed) = told(&workspace, &["run", student.to_str().unwrap(), "--out", "other"]);
    let copy = "teacher of pretrain: `runs/tiny/seed=3` is gone: the copy in `other/student/seed=4` is taken";
    assert!(succeeded && printed.contains(copy), "{printed}");
    assert_eq!(repeatable(json(&workspace.path("other/student/seed=4/summary.json"))), summary);
    assert_eq!(metrics(&workspace.path("other/student/seed=4")), metrics(&run));
    // Its networks need no teacher.
    assert!(workspace.vitslim(&["eval", "other/student/seed=4"]).status.success());
}

#[test]
fn check_says_who_teaches_and_a_run_knows_its_teacher_by_its_weights() {
    let workspace = workspace();
    let args = ["export", TEACHER, "--to", "safetensors", "--out", "teacher.safetensors"];
    assert!(workspace.vitslim(&args).status.success());
    let text = STUDENT.replace(TEACHER, "teacher.safetensors");
    let student = workspace.write("student.ron", &text);
    let student = student.to_str().unwrap();
    let (succeeded, printed) = told(&workspace, &["check", student]);
    assert!(succeeded, "{printed}");
    for line in [
        "teacher of pretrain: vit, ",
        "Hard(share: 0.5)",
        "teacher of retrain: the dense network of this run, Soft(temperature: 3, share: 0.5), features: 0.5",
    ] {
        assert!(printed.contains(line), "{line} is not in {printed}");
    }
    let output = workspace.vitslim(&["check", student, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let network = &found["teachers"][0]["network"];
    let summary = json(&workspace.path(TEACHER).join("summary.json"));
    assert_eq!(network["params"], summary["dense"]["params"]);
    assert_eq!(network["macs"], summary["dense"]["macs"]);
    let output = workspace.vitslim(&["eval", TEACHER, "--split", "held_out", "--json"]);
    let evaluated: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (found, expected) = (network["top1"].as_f64().unwrap(), evaluated["top1"].as_f64().unwrap());
    assert!((found - expected).abs() < 0.01, "{found}, not {expected}");

    workspace.run(Path::new(student), &["--quiet"]);
    let kept = fs::read(workspace.path("runs/student/seed=4/teacher-pretrain.safetensors")).unwrap();
    assert!(kept == fs::read(workspace.path("teacher.safetensors")).unwrap());
    let other = format!("{TEACHER}/share-0.5-0.5-0.7");
    let args = ["export", &other, "--to", "safetensors", "--out", "teacher.safetensors", "--force"];
    assert!(workspace.vitslim(&args).status.success());
    let (succeeded, printed) = told(&workspace, &["run", student]);
    let changed = "the network that teaches `pretrain` is not the one that taught it when the run";
    assert!(!succeeded && printed.contains(changed), "{printed}");
    // What was cut may teach as well.
    workspace.run(Path::new(student), &["--quiet", "--fresh"]);
}

#[test]
fn a_teacher_sees_images_as_in_its_own_run_and_knows_classes_by_their_labels() {
    let workspace = with_colours();
    let teacher = ["--set", "data.normalise=Half", "--set", "pretrain.epochs=20", "--out", "teachers"];
    let output = workspace.vitslim(&short(&teacher));
    assert!(output.status.success(), "{}", said(&output));
    let evaluate = ["eval", "teachers/tiny/seed=3", "--split", "held_out", "--json"];
    let evaluated: Value = serde_json::from_slice(&workspace.vitslim(&evaluate).stdout).unwrap();
    assert!(evaluated["top1"].as_f64().unwrap() > 0.5, "{evaluated}");

    let taught = "retrain.teacher=(pretrained: \"teachers/tiny/seed=3\")";
    for normalise in ["Split", "ImageNet", "Given(mean: [0, 0.9, 0.5], std: [1, 0.01, 0.1])"] {
        let normalise = format!("data.normalise={normalise}");
        let args = ["check", "tiny.ron", "--json", "--set", taught, "--set", &normalise];
        let found: Value = serde_json::from_slice(&workspace.vitslim(&args).stdout).unwrap();
        assert_eq!(found["teachers"][0]["network"]["top1"], evaluated["top1"], "{normalise}");
    }
    let classes = "data.classes=[\"a\", \"c\", \"b\"]";
    let (succeeded, printed) = told(&workspace, &short(&["--set", taught, "--set", classes]));
    let moved = "class `b` is label 1 to the teacher, and label 2 in the data";
    assert!(!succeeded && printed.contains(moved), "{printed}");
}

#[test]
fn a_teacher_that_does_not_fit_is_refused_before_anything_is_trained() {
    let workspace = workspace();
    let weights = Path::new(env!("CARGO_MANIFEST_DIR")).join("data/weights/timm_vit.pth");
    fs::copy(weights, workspace.path("vit.pth")).unwrap();
    let file = workspace.write("student.ron", STUDENT);
    let file = file.to_str().unwrap();
    let random = |image_size: usize, channels: usize, classes: usize| {
        format!(
            "data=Random(image_size: {image_size}, channels: {channels}, classes: {classes}, images: 400)"
        )
    };
    let timm = "architecture: \"vit\", config: (patch_size: 4, dim: 12, depth: 2, heads: 3, mlp_ratio: 2)";
    let scaled = timm.replace("mlp_ratio: 2", "mlp_ratio: 2, init_values: 0.1");
    let teacher = |fields: &str| format!("pretrain.teacher=({fields})");
    for (sets, sentence) in [
        (vec![random(8, 3, 10)], "the teacher takes images of 1 channel, and the data have 3"),
        (vec![random(8, 1, 4)], "the teacher has 10 classes, and the data have 4"),
        (
            vec![random(16, 1, 10), teacher(&format!("pretrained: \"{TEACHER}/share-0.5-0.5-0.7\""))],
            "of 4 units at `blocks.1.tokens`, where the network has 16 for these images",
        ),
        (
            vec![teacher(&format!("pretrained: \"vit.pth\", {timm}"))],
            "`vit.pth` classifies by 5 classes, and the data have 10",
        ),
        (vec![teacher("pretrained: \"vit.pth\"")], "`vit.pth` does not say what network its weights are of"),
        (
            vec![teacher("pretrained: \"vit.pth\", architecture: \"vot\"")],
            "unknown architecture `vot`; did you mean `vit`?",
        ),
        (
            vec![teacher("pretrained: \"vit.pth\", architecture: \"vit\", config: (dpeth: 2)")],
            "unknown field `dpeth`",
        ),
        (
            vec![teacher(
                "pretrained: \"vit.pth\", architecture: \"vit\", config: (patch_size: 4, classes: 5)",
            )],
            "`classes` is 5, but the data have 10",
        ),
        (
            vec![teacher(&format!("pretrained: \"{TEACHER}\", architecture: \"swin\""))],
            "is a `vit`, but the architecture here is `swin`",
        ),
        (vec![teacher("pretrained: \"nowhere.pth\"")], "`nowhere.pth` does not exist"),
        (vec![teacher("pretrained: \"runs/tiny\"")], "`runs/tiny` is not the folder of a run"),
        (
            vec![teacher(&format!("pretrained: \"{TEACHER}\", normalise: ImageNet"))],
            "has three channels, but the images have 1 channel",
        ),
        (
            vec![teacher(&format!("pretrained: \"{TEACHER}\", normalise: Split"))],
            "the training split is the student's, and does not say how the teacher's images are normalised",
        ),
        (
            vec![teacher(&format!("pretrained: \"{TEACHER}\", kind: Soft(temperature: 0)"))],
            "`temperature`: must be greater than 0",
        ),
        (vec![teacher(&format!("pretrained: \"{TEACHER}\", kind: Hard(share: 1.5)"))], "`share`: must be"),
        (vec![teacher(&format!("pretrained: \"{TEACHER}\", features: 0.5"))], "unknown field `features`"),
        (vec!["retrain.teacher=Dense(features: 0)".to_owned()], "`features`: must be greater than 0"),
        (
            vec![
                random(8, 3, 5),
                teacher(&format!("pretrained: \"vit.pth\", {scaled}, allow_missing: [\"*.gamma\"]")),
            ],
            "`vit.pth` leaves `blocks.0.ls1.gamma` of the network as initialised, and a teacher must be trained",
        ),
        (
            vec![
                random(8, 3, 5),
                "pretrain=None".to_owned(),
                format!("model=({scaled}, allow_missing: [\"*.gamma\"], pretrained: \"vit.pth\")"),
            ],
            "`blocks.0.ls1.gamma`, a parameter of the dense network, is not trained",
        ),
        (vec!["pretrain.teacher=Dense".to_owned()], "the dense network cannot teach itself"),
        (vec!["pretrain=None".to_owned()], "the dense network is not trained, so it has nothing to teach"),
        (
            vec![
                "pretrain=None".to_owned(),
                format!(
                    "model=(architecture: \"vit\", config: (patch_size: 4, dim: 12, depth: 2, heads: 3, mlp_ratio: 2), pretrained: \"vit.pth\")"
                ),
            ],
            "`head`, a classifier of the dense network, is not trained, so that it has nothing to teach",
        ),
    ] {
        for command in ["check", "plan", "run"] {
            let mut args = vec![command, file];
            sets.iter().for_each(|set| args.extend(["--set", set]));
            let (succeeded, printed) = told(&workspace, &args);
            assert!(!succeeded && printed.contains(sentence), "{command} {sets:?}: {printed}");
        }
    }
    assert!(!workspace.path("runs/student").exists());
}
