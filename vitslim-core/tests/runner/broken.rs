//! Broken files, and all that is said of each, as a terminal shows it. The snapshot is there to be read.

use std::fmt::Write;

use super::data::write_folder;
use super::workspace::{TINY, Workspace};

/// What is replaced in the file, by what.
#[rustfmt::skip]
const FILES: &[(&str, &str)] = &[
    // Names.
    ("epochs: 2,\n", "epoch: 2,\n"),
    ("    retrain:", "    retrian:"),
    ("Experiment(", "Experimnt("),
    ("\"vit\"", "\"vti\""),
    ("architecture: \"vit\"", "architecture: \"vit\", preset: \"vit_tiny\""),
    ("data: Digits", "data: Digit"),
    ("data: Digits", "data: Imagenet"),
    ("Cosine(", "Cosin("),
    ("warmup_epochs: 1", "warmup: 1"),
    ("AdamW(lr: 2e-3)", "Adam(lr: 2e-3)"),
    ("activation: Tanh", "activation: tanh"),
    ("weight: 1e-4, activation", "weigth: 1e-4, activation"),
    ("(weight: 1e-4)", "(weight: 1e-4, granularity: Head)"),
    ("Share({ \"hidden\": 0.1 })", "Shares({ \"hidden\": 0.1 })"),
    ("\"hidden\": (weight", "\"hiden\": (weight"),
    ("Share({ \"hidden\": 0.1 })", "Share({ \"hiden\": 0.1 })"),
    ("Share({ \"hidden\": 0.1 })", "Share({ \"blocks.*.hidden\": 0.1 })"),
    ("patch_size: 4", "patchsize: 4"),
    ("label_smoothing", "smoothing"),
    ("seed: 3", "sed: 3"),
    ("seed: 3", "seed: 3, precision: bf16"),
    ("seed: 3", "seed: 3, importance: Variences"),
    // Missing.
    ("    name: \"tiny\",\n", ""),
    ("    data: Digits,\n", ""),
    ("(epochs: 2, batch", "(batch"),
    ("AdamW(lr: 2e-3)", "AdamW()"),
    ("(weight: 1e-3)", "()"),
    ("architecture: \"vit\", ", ""),
    // Types.
    ("epochs: 2,\n", "epochs: \"2\",\n"),
    ("epochs: 2,\n", "epochs: 2.5,\n"),
    ("epochs: 2,\n", "epochs: 2e0,\n"),
    ("epochs: 2,\n", "epochs: Some(2),\n"),
    ("epochs: 2,\n", "epochs: None,\n"),
    ("epochs: 2,\n", "epochs: two,\n"),
    ("name: \"tiny\"", "name: tiny"),
    ("name: \"tiny\"", "name: 't'"),
    ("data: Digits", "data: \"Digits\""),
    ("data: Digits", "data: Digits(3)"),
    ("data: Digits", "data: Idx()"),
    ("dim: 16", "dim: \"16\""),
    ("mlp_ratio: 2", "mlp_ratio: true"),
    ("masks: (lr: 5e-2)", "masks: { \"lr\": 5e-2 }"),
    ("masks: (lr: 5e-2)", "masks: (5e-2)"),
    ("Share({ \"hidden\": 0.1 })", "Share((hidden: 0.1))"),
    ("Share({ \"hidden\": 0.1 })", "Share"),
    ("budgets: [", "budgets: Share({ \"hidden\": 0.1 }), x: ["),
    ("architecture: \"vit\"", "architecture: \"vit\", pretrained: 3"),
    ("architecture: \"vit\"", "architecture: \"vit\", pretrained: \"x\", allow_missing: \"head\""),
    // Out of range.
    ("\"hidden\": 0.1 })", "\"hidden\": 1.5 })"),
    ("\"hidden\": 0.1 })", "\"hidden\": 0 })"),
    ("\"hidden\": 0.1 })", "\"hidden\": -0.1 })"),
    ("weight: 1e-3", "weight: -1e-3"),
    ("weight: 1e-3", "weight: NaN"),
    ("weight: 1e-3", "weight: 1e400"),
    ("weight: 1e-3", "weight: -0.0"),
    ("weight: 1e-3", "weight: 1e308"),
    ("weight: 1e-3", "weight: 1e-60"),
    ("label_smoothing: 0.1", "label_smoothing: 0.99999999999"),
    ("lr: 2e-3", "lr: 0"),
    ("lr: 2e-3", "lr: 20"),
    ("label_smoothing: 0.1", "label_smoothing: 1"),
    ("seed: 3", "seed: -3"),
    ("seed: 3", "seed: 99999999999999999999"),
    ("drop_path: 0.1", "drop_path: 1"),
    ("dim: 16", "dim: 0"),
    ("epochs: 2,\n", "epochs: 0,\n"),
    ("seed: 3", "seed: 3, importance: Taylor(batches: 0)"),
    ("epochs: 2,\n", "epochs: 5000000000,\n"),
    ("mlp_ratio: 2", "mlp_ratio: 1e30"),
    ("depth: 2", "depth: 1000000000000"),
    ("name: \"tiny\"", "name: \"a/b\""),
    ("name: \"tiny\"", "name: \"\""),
    // What does not fit together.
    ("patch_size: 4", "patch_size: 3"),
    ("heads: 2", "heads: 3"),
    ("warmup_epochs: 1", "warmup_epochs: 3"),
    ("warmup_epochs: 1", "warmup_epochs: 1, warmup_steps: 9"),
    ("warmup_epochs: 1", "warmup_steps: 17"),
    ("warmup_epochs: 1", "warmup_epochs: -1"),
    ("warmup_epochs: 1", "warmup_epochs: 1, warmup_lr: 1e-2"),
    ("Cosine(warmup_epochs: 1)", "Constant(warmup_lr: 1e-6)"),
    ("AdamW(lr: 2e-3)", "Sgd(lr: 2e-3, momentum: 1)"),
    ("AdamW(lr: 2e-3)", "AdamW(lr: 2e-3), lr_of_batch: 0"),
    ("batch: 128, optimizer: AdamW(lr: 2e-3)", "batch: 8, lr_of_batch: 4000000000, optimizer: AdamW(lr: 2e-38)"),
    ("masks: (lr: 5e-2)", "lr_of_batch: 4000000000, masks: (lr: 5e-39)"),
    ("AdamW(lr: 2e-3), schedule: Cosine(", "AdamW(lr: 2e-3), lr_of_batch: 1024, schedule: Cosine(warmup_lr: 1e-3, "),
    ("warmup_epochs: 1", "warmup_epochs: 0.05, warmup_lr: 1e-6"),
    ("label_smoothing: 0.1", "label_smoothing: 0.1, augment: DeiT"),
    ("data: Digits", "data: Idx(path: \"x\", augment: (crop_padding: 2, fill: Grey))"),
    ("data: Digits", "data: Idx(path: \"x\", normalise: Imagenet)"),
    ("data: Digits", "data: Idx(path: \"x\", normalise: Given(mean: [123.7], std: [0]))"),
    ("data: Digits", "data: Idx(path: \"x\", normalise: Given(mean: [0.5]))"),
    ("batch: 128, optimizer: AdamW(lr: 2e-3)", "batch: 5000, optimizer: AdamW(lr: 2e-3)"),
    ("batch: 128, optimizer: AdamW(lr: 2e-3)", "batch: 2, accumulate: 3, optimizer: AdamW(lr: 2e-3)"),
    ("dim: 16", "dim: 16, classes: 7"),
    ("Share({ \"hidden\": 0.1 })", "Share({ \"hidden\": 0.1 }), Share({ \"hidden\": 0.1 })"),
    ("Share({ \"hidden\": 0.1 })", "Share({})"),
    ("Share({ \"hidden\": 0.1 })", "Share({ \"width\": 0.1 })"),
    ("(weight: 1e-4)", "(weight: 1e-4, granularity: Group)"),
    ("\"hidden\": (weight", "\"blocks.*.mlp.hidden\": (weight: 1), \"hidden\": (weight"),
    ("data: Digits", "data: Idx(path: \"nowhere\")"),
    ("data: Digits", "data: ImageFolder(path: \"nowhere\")"),
    ("seed: 3", "devices: []"),
    ("seed: 3", "seed: 3, importance: Magnitude"),
    // Written twice.
    ("seed: 3", "seed: 3, seed: 4"),
    ("\"head_dim\": (", "\"hidden\": ("),
    // Sweeps.
    ("seed: 3", "seed: Sweep([])"),
    ("seed: 3", "seed: Sweep(1, 2)"),
    ("seed: 3", "seed: Sweep([1, Sweep([2, 3])])"),
    ("seed: 3", "seed: Sweep([1, 2, 1])"),
    ("seed: 3", "seed: Sweep(\"a\", [1, 2]), log_every: Sweep(\"a\", [1, 2, 3])"),
    ("seed: 3", "seed: Seeds(200), log_every: Range(1, 100, 100)"),
    ("seed: 3", "seed: Seeds(0)"),
    ("seed: 3", "seed: Range(1, 2)"),
    ("lr: 2e-3", "lr: LogRange(0, 1e-3, 3)"),
    ("lr: 2e-3", "lr: Sweep([1e-3, 2])"),
    ("heads: 2", "heads: Sweep([2, 3, 5])"),
    ("name: \"tiny\"", "name: Sweep([\"a\", \"b\"])"),
    // Files to start from.
    ("seed: 3", "base: \"nowhere.ron\""),
    ("seed: 3", "base: \"broken.ron\""),
    ("seed: 3", "base: 3"),
    // Syntax.
    ("search: (", "search: {"),
    ("seed: 3", "seed = 3"),
    ("seed: 3", "\"seed\": 3"),
    ("seed: 3,", "seed: 3"),
    ("seed: 3", "seed: "),
    ("seed: 3,", "seed: 3;"),
    ("seed: 3,", "seed: 3,,"),
    ("seed: 3,", "seed: 3, # the answer"),
    ("\"tiny\"", "\"tiny"),
    ("\"tiny\"", "\"C:\\tiny\""),
    ("lr: 2e-3", "lr: 2e-3f32"),
    ("lr: 2e-3", "lr: 2 ** -10"),
    ("Experiment(", "Experiment {"),
    ("\"tiny\"", "\"\\x+1\""),
    ("\"tiny\"", "\"\\u{41\""),
    // Characters that are wide, or do not show.
    ("name: \"tiny\"", "name: \"tiny\", /* 学习测试 */ sed: 3"),
    ("seed: 3", "seed:\u{200b} 3"),
    ("epochs: 2,\n", "epochs\u{fe0f}: 2,\n"),
    ("name: \"tiny\"", "name: \"ti\u{200d}ny\""),
    ("\"hidden\": 0.1", "\"hid\u{200d}den\": 0.1"),
    ("    budgets: [", "    tokens: Merged,\n    budgets: ["),
    ("Share({ \"hidden\": 0.1 })", "Tokens(fewer: 0)"),
    ("Share({ \"hidden\": 0.1 })", "All([Tokens(fewer: 1), Tokens(fewer: 2)])"),
    // Several at once.
    ("dim: 16", "dim: 16, image_size: 200000"),
    ("heads: 2, mlp_ratio: 2, drop_path: 0.1)),", "heads: 3)), log_evry: 5,"),
    ("\"hidden\": (weight: 1e-4)", "\"hiden\": (weight: -1e-3)"),
    ("{ \"hidden\": 0.1 }", "{ \"hidden\": 0.1, \"blocks.*.*.*\": 0.2, \"head_dim\": 0.2, \"blocks.{0\": 0.1 }"),
    ("(epochs: 2, batch: 128,", "(epochs: 0, batch: 128, accumulate: 1000,"),
    ("epochs: 2,\n", "epoch: 2, optimiser: 3, clip: -1,\n"),
];

/// Arguments of the command line.
const ARGUMENTS: &[&str] = &[
    "seed",
    "=1",
    "a.b=",
    "seed=-1",
    "seed=Sweep([])",
    "search.epoch=1",
    "search.dimensions.hiden.weight=1",
    "name=other",
    "data=Idx(path=\"x\")",
    "model.config.heads=3",
    "budgets.7=1",
    "base=\"x.ron\"",
];

/// Mistakes of all kinds in one file: of types and names, of rules over several fields, of data, and of the network.
const ALL_KINDS: &str = r#"Experiment(
    name: "all kinds",
    seed: Sweep([1, 2]),
    model: (architecture: "vit", config: (patch_size: 2, dim: "64", detph: 6, heads: 5, image_size: 9)),
    data: Digits,
    pretrain: (epochs: 2, batch: 9999, optimizer: AdamW(lr: 1e-3), schedule: Cosine(warmup_epochs: 4)),
    search: (
        epochs: 2,
        batch: 100000,
        optimizer: AdamW(lr: -5e-4),
        dimensions: {
            "head_dim": (weight: 5e-4),
            "hiden": (weight: 5e-5, granularity: Uniform),
            "tokenz": (weight: 1e-4),
        },
    ),
    budgets: [
        Share({ "head_dim": 1.7, "hidden": 0.7 }),
        Share({ "headdim": 0.5, "hiddn": 0.5 }),
        Share({}),
    ],
    retrain: (epochs: "x", optimizer: AdamW(lr: 5e-4)),
)
"#;

/// What is replaced in it, where a mistake leaves the rest of the data or the network open.
#[rustfmt::skip]
const OPEN: &[(&str, &str)] = &[
    ("data: Digits", "data: Idx(path: \"nowhere\", x: 1)"),
    ("data: Digits", "data: Digitz"),
    ("data: Digits", "data: Random(imagesize: 8, images: 500)"),
    ("data: Digits", "data: ImageFolder(path: \"nowhere\", image_size: 8)"),
    ("\"vit\"", "\"vot\""),
    ("architecture: \"vit\"", "architecture: 3"),
    ("(architecture: \"vit\"", "(preset: \"tiny\", architecture: \"vit\""),
];

#[test]
fn each_broken_file_is_told_as_it_was() {
    let workspace = Workspace::new();
    workspace.write("broken.ron", "(seed = 1)");
    let mut told = String::new();
    let mut tell = |title: &str, args: &[&str]| {
        let output = workspace.vitslim(&[&["plan", "tiny.ron", "--no-times"], args].concat());
        assert_eq!(output.status.code(), Some(1), "{title}: {}", String::from_utf8_lossy(&output.stdout));
        let folder = workspace.path("").canonicalize().unwrap().display().to_string();
        let report =
            String::from_utf8_lossy(&output.stderr).replace(folder.trim_end_matches('/'), "<folder>");
        assert!(!report.contains("panicked"), "{title}: {report}");
        let report: Vec<&str> = report.trim().lines().map(str::trim_end).collect();
        let _ = writeln!(told, "=== {title}\n{}\n", report.join("\n"));
    };
    for (right, wrong) in FILES {
        assert!(TINY.contains(right), "{right}");
        workspace.write("tiny.ron", &TINY.replacen(right, wrong, 1));
        tell(&format!("{}  ->  {}", right.trim(), wrong.trim()), &[]);
    }
    workspace.write("tiny.ron", TINY);
    for argument in ARGUMENTS {
        tell(&format!("--set {argument}"), &["--set", argument]);
    }
    workspace.write("tiny.ron", ALL_KINDS);
    tell("mistakes of all kinds", &[]);
    for (right, wrong) in OPEN {
        assert!(ALL_KINDS.contains(right), "{right}");
        workspace.write("tiny.ron", &ALL_KINDS.replacen(right, wrong, 1));
        tell(&format!("mistakes of all kinds, and {right}  ->  {wrong}"), &[]);
    }
    assert!(FILES.len() + ARGUMENTS.len() >= 80);
    insta::assert_snapshot!(told);
}

/// The mistakes that are told, without what is said of them.
fn told(workspace: &Workspace, args: &[&str]) -> Vec<String> {
    let output = workspace.vitslim(args);
    assert_eq!(output.status.code(), Some(1), "{args:?}: {}", String::from_utf8_lossy(&output.stdout));
    let report = String::from_utf8_lossy(&output.stderr).into_owned();
    let mistakes = report.lines().filter_map(|line| line.split_once("× "));
    mistakes.map(|(_, mistake)| mistake.trim().to_owned()).collect()
}

#[test]
fn of_a_folder_of_images_nothing_false_is_said_and_nothing_is_read_first() {
    let workspace = Workspace::new();
    write_folder(&workspace.path("images"), "train", 20, "png");
    write_folder(&workspace.path("images"), "val", 5, "png");
    std::fs::write(workspace.path("images/train/up/broken.png"), "no image").unwrap();
    let data = "ImageFolder(path: \"images\", image_size: 8)";
    let text = TINY.replace("Digits", data).replace("batch: 128", "batch: 16");
    for (right, wrong, expected) in [
        ("label_smoothing: 0.1", "label_smoothing: Sweep([0.1, 1])", &["`label_smoothing`: must"][..]),
        ("seed: 3", "seed: Sweep([1, 2, 1])", &["`1` gives the same trial twice"]),
        ("heads: 2", "heads: 2, dimm: 3", &["unknown field `dimm`"]),
        ("\"hidden\": 0.1", "\"hiden\": 0.1", &["no dimension matches \"hiden\""]),
        ("heads: 2", "heads: 3", &["3 heads do not divide"]),
        ("dim: 16, depth", "dim: 15, dimm: 3, depth", &["unknown field `dimm`"]),
        ("\"vit\"", "Sweep([\"vit\", \"vot\"])", &["unknown architecture `vot`"]),
        (
            "(patch_size: 4, dim: 16, depth: 2, heads: 2, mlp_ratio: 2, drop_path: 0.1)",
            "(dimm: 3), preset: \"tiny\"",
            &["unknown field `dimm`", "unknown preset `tiny`"],
        ),
    ] {
        assert!(text.contains(right), "{right}");
        workspace.write("tiny.ron", &text.replacen(right, wrong, 1));
        for command in ["plan", "run"] {
            let told = told(&workspace, &[command, "tiny.ron"]);
            assert_eq!(told.len(), expected.len(), "{command}, {wrong}: {told:#?}");
            for (told, expected) in told.iter().zip(expected) {
                assert!(told.contains(expected), "{command}, {wrong}: {told}");
            }
        }
    }
}

#[test]
fn where_one_architecture_is_unknown_the_mistakes_of_the_others_are_told() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", &TINY.replace("\"vit\"", "Sweep([\"vit\", \"vot\"])"));
    let told = told(&workspace, &["plan", "tiny.ron", "--set", "model.config.patch_sise=3"]);
    assert_eq!(told.len(), 2, "{told:#?}");
}

/// The file is right: all that is wrong with its data and its network is told at once.
#[test]
fn mistakes_in_data_and_network_are_told_together() {
    let workspace = Workspace::new();
    let text = TINY
        .replace("dim: 16", "dim: 16, classes: 7")
        .replace("batch: 128, optimizer: AdamW(lr: 2e-3)", "batch: 5000, optimizer: AdamW(lr: 2e-3)");
    workspace.write("tiny.ron", &text);
    let told_of = |text: &str| {
        workspace.write("tiny.ron", text);
        told(&workspace, &["plan", "tiny.ron"])
    };
    let mistakes = told_of(&text);
    assert!(
        mistakes[0].contains("`classes` is 7") && mistakes[1].contains("a batch of 5000"),
        "{mistakes:#?}"
    );
    let text = text.replace(", classes: 7", "").replace("\"hidden\": 0.1", "\"hiden\": 0.1");
    let mistakes = told_of(&text.replace("\"head_dim\": (weight", "\"headdim\": (weight"));
    assert_eq!(mistakes.len(), 3, "{mistakes:#?}");
    // Those of the file come first.
    let mistakes = told_of(&text.replace("Cosine(", "Cosin("));
    assert!(mistakes.len() == 1 && mistakes[0].contains("`Cosin`"), "{mistakes:#?}");
}

/// A network for which there is no memory.
#[test]
fn a_network_that_is_too_large_hides_no_other_mistake() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    for args in [["dim=60000", "retrain.epoch=1"], ["image_size=4000000", "data=Idx(path: \"nowhere\")"]] {
        let first = format!("model.config.{}", args[0]);
        let told = told(&workspace, &["plan", "tiny.ron", "--set", &first, "--set", args[1]]);
        assert!(told.iter().any(|told| told.contains("`epoch`") || told.contains("`nowhere`")), "{told:#?}");
    }
}
