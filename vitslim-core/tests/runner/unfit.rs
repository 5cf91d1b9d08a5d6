//! Experiments from which nothing can come: what `check`, `plan` and `run` say before a night is spent on them.

use super::data::write_folder;
use super::workspace::{TINY, Workspace, said};

/// Both outputs on one line.
fn told(workspace: &Workspace, args: &[&str]) -> (Option<i32>, String) {
    let output = workspace.vitslim(args);
    let printed = String::from_utf8_lossy(&output.stdout);
    let flat = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    (output.status.code(), format!("{flat} {}", said(&output)))
}

#[test]
fn one_class_is_nothing_to_learn() {
    let workspace = Workspace::new();
    for part in ["train", "val"] {
        write_folder(&workspace.path(""), part, 12, "png");
        std::fs::remove_dir_all(workspace.path(part).join("down")).unwrap();
    }
    let folder =
        TINY.replace("Digits", "ImageFolder(path: \".\", image_size: 8)").replace("batch: 128", "batch: 4");
    let file = workspace.write("tiny.ron", &folder);
    let random = "data=Random(image_size: 8, channels: 1, classes: 1, images: 200)";
    for command in ["check", "run", "plan"] {
        for (set, sentence) in [
            (&[][..], "there is only one class, `up`: does the folder hold `train/<class>/`?"),
            (&["--set", random], "there is only one class, `0`, so there is nothing to learn"),
        ] {
            let (code, told) = told(&workspace, &[&[command, file.to_str().unwrap()], set].concat());
            assert_eq!(code, Some(1), "{command}: {told}");
            assert!(told.contains(sentence) && !told.contains("never reaches"), "{command}: {told}");
        }
    }
    assert!(!workspace.path("runs").exists());
}

#[test]
fn a_key_that_rounding_leaves_whole_is_told_with_what_to_write() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let file = file.to_str().unwrap();
    for command in [&["check", file][..], &["plan", file, "--no-times"]] {
        let (code, whole) = told(&workspace, &[command, &["--set", "round_to=64"]].concat());
        assert_eq!(code, Some(0), "{whole}");
        for (label, share) in [("share-0.5-0.5-0.7", "0.5"), ("share-0.1", "0.1")] {
            let note = format!(
                "note: `round_to: 64` leaves \"hidden\" whole: {label} asks for {share} of it, and keeps 1.000; write `round_to: 16`"
            );
            assert!(whole.contains(&note), "{note} is not in {whole}");
        }
        let (_, rounded) = told(&workspace, &[command, &["--set", "round_to=16"]].concat());
        assert!(!rounded.contains("\"hidden\" whole"), "{rounded}");
    }
}

/// A Swin on the digits, whose stages are 12 and 24 wide, with these starting values of their masks.
fn swin(inits: [f64; 2], share: f64) -> String {
    let (start, rest) = TINY.split_once("model: ").unwrap();
    let (_, rest) = rest.split_once("data: ").unwrap();
    let (middle, rest) = rest.split_once("dimensions: {").unwrap();
    let (_, rest) = rest.split_once("budgets: [").unwrap();
    let (_, end) = rest.split_once("\n    ],").unwrap();
    let model = "(architecture: \"swin\", config: (patch_size: 2, dim: 12, depths: [1, 1], heads: [2, 4], window: 2))";
    let [first, second] = inits;
    let text = format!(
        "{start}model: {model}, data: {middle}dimensions: {{ \"layers.0.width\": (weight: 0, init: {first}), \
         \"layers.1.width\": (weight: 0, init: {second}) }}), budgets: [Share({{ \"layers.*.width\": {share} }})],{end}"
    );
    text.replace("epochs: 2", "epochs: 1").replace("warmup_epochs: 1", "warmup_epochs: 0")
}

#[test]
fn a_budget_that_must_leave_a_stage_without_width_is_refused_by_all_commands() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", &swin([1.0, 1.0], 0.01));
    for command in ["check", "plan", "run"] {
        let (code, told) = told(&workspace, &[command, file.to_str().unwrap()]);
        assert_eq!(code, Some(1), "{command}: {told}");
        let reason = "the sub-network `share-0.01` lets no image through: \"layers.*.width\" keeps 1 of 36 masks, but each of \
                      `layers.0.width`, `layers.1.width` needs one";
        assert!(told.contains(reason), "{command}: {told}");
    }
    assert!(!workspace.path("runs").exists());
}

#[test]
fn a_search_that_leaves_a_stage_without_width_is_told_before_the_retraining() {
    let workspace = Workspace::new();
    // 11 of 36 masks: fewer than the first stage has, all of which are larger.
    let file = workspace.write("tiny.ron", &swin([1.0, 0.1], 0.3));
    let (code, told) = told(&workspace, &["run", file.to_str().unwrap()]);
    assert_eq!(code, Some(1), "{told}");
    assert!(
        told.contains(
            "the sub-network `share-0.3` lets no image through: nothing is left of `layers.1.width`"
        ),
        "{told}"
    );
    assert!(told.contains("give the dimension a larger share, or a key of its own"), "{told}");
    assert!(!workspace.path("runs/tiny/seed=3/checkpoints/retrain").exists());
}

#[test]
fn check_says_what_decays_what_freezes_and_at_which_rate() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let file = file.to_str().unwrap();
    let args = ["check", file, "--set", "pretrain.layer_decay=0.5", "--set", "search.freeze=Weights"];
    let (code, found) = told(&workspace, &args);
    assert_eq!(code, Some(0), "{found}");
    for line in [
        "weight decay acts on 10 tensors of 4.51 k values: patch_embed.proj.weight, blocks.*.attn.qkv.weight, blocks.*.attn.proj.weight, blocks.*.mlp.fc1.weight, \
         blocks.*.mlp.fc2.weight, head.weight; it spares 22 tensors of 506 values: patch_embed.proj.bias, cls_token, pos_embed, blocks.*.norm1.gamma,",
        "the search freezes 22 tensors of 4.86 k values: patch_embed.proj.weight, patch_embed.proj.bias, cls_token, pos_embed, blocks.*.attn.qkv.weight,",
        "it trains 10 tensors of 160 values: blocks.*.norm1.gamma, blocks.*.norm1.beta, blocks.*.norm2.gamma, blocks.*.norm2.beta, norm.gamma, norm.beta",
        "pretrain: learning rate 2.5e-4 for patch_embed.proj.weight, patch_embed.proj.bias, cls_token, pos_embed",
        "pretrain: learning rate 5e-4 for blocks.0 pretrain: learning rate 1e-3 for blocks.1",
        "pretrain: learning rate 1e-3 for blocks.1, norm.gamma, norm.beta",
        "pretrain: learning rate 2e-3 for head.weight, head.bias",
    ] {
        assert!(found.contains(line), "{line} is not in {found}");
    }
    let (_, without) = told(
        &workspace,
        &[
            "check",
            file,
            "--set",
            "pretrain.optimizer=AdamW(lr: 1e-3, weight_decay: 0)",
            "--set",
            "search.optimizer=AdamW(lr: 1e-3, weight_decay: 0)",
            "--set",
            "retrain.optimizer=AdamW(lr: 1e-3, weight_decay: 0)",
        ],
    );
    for absent in ["weight decay", "freezes", "learning rate"] {
        assert!(!without.contains(absent), "{absent} is in {without}");
    }
}

#[test]
fn check_and_plan_say_to_which_rates_a_batch_scales() {
    let workspace = Workspace::new();
    let file = workspace.write("tiny.ron", TINY);
    let file = file.to_str().unwrap();
    let sets = ["--set", "pretrain.lr_of_batch=512", "--set", "search.lr_of_batch=512"];
    let lines = [
        "pretrain: learning rate 5e-4, at a batch of 128",
        "search: learning rate 2.5e-4, 1.25e-2 for the masks, at a batch of 128",
    ];
    for command in [&["check", file][..], &["plan", file, "--no-times"]] {
        let (code, told) = told(&workspace, &[command, &sets].concat());
        assert_eq!(code, Some(0), "{told}");
        assert!(lines.iter().all(|line| told.contains(line)), "{told}");
        assert!(!told.contains(" retrain: learning rate"), "{told}");
    }
    // A sweep over the batch scales by itself.
    let swept = ["plan", file, "--no-times", "--set", "pretrain.batch=Sweep([64, 128])"];
    let (_, told) = told(&workspace, &[&swept[..], &sets].concat());
    assert!(told.contains("pretrain: learning rate 2.5e-4, at a batch of 64"), "{told}");
    assert_eq!(told.matches("search: learning rate").count(), 1, "{told}");
}
