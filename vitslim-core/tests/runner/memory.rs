//! The CPU runs out of memory.

use super::workspace::{TINY, VITSLIM, Workspace, json, said};

#[test]
fn the_cpu_out_of_memory_is_one_sentence_with_what_to_do() {
    let workspace = Workspace::new();
    let large = TINY
        .replace("patch_size: 4, dim: 16, depth: 2", "patch_size: 1, dim: 128, depth: 12")
        .replace("pretrain: (epochs: 2, batch: 128", "pretrain: (epochs: 2, batch: 1000");
    workspace.write("large.ron", &large);
    let run = |sets: &[&str]| {
        let script = "ulimit -v 1200000; exec \"$0\" \"$@\"";
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
    let sweep = json(&workspace.path("runs/tiny/sweep.json"));
    assert!(sweep["trials"][0]["failure"].as_str().unwrap().starts_with(expected), "{sweep}");
}
