//! What is printed, and where.

use std::io::{BufRead, BufReader};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

use super::data::write_folder;
use super::workspace::{TINY, VITSLIM, Workspace, json};

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Runs the tiny experiment with the further arguments `args`, which must end well.
fn run(workspace: &Workspace, args: &[&str]) -> Output {
    workspace.write("tiny.ron", TINY);
    // Not the one that sets NO_COLOR: there must be no escape codes anyway.
    let output = workspace.command(VITSLIM, &[&["run", "tiny.ron"], args].concat()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    output
}

#[test]
fn without_a_terminal_there_are_plain_lines_one_a_stage() {
    let workspace = Workspace::new();
    let output = run(&workspace, &[]);
    for bytes in [&output.stdout, &output.stderr] {
        assert!(!bytes.contains(&0x1b) && !bytes.contains(&b'\r'), "{}", text(bytes));
    }
    let printed = text(&output.stderr);
    // A stage that takes long says so between.
    let lines: Vec<&str> = printed.lines().filter(|line| line.contains(" in 00:")).collect();
    let titles: Vec<&str> = lines.iter().filter_map(|line| Some(line.split_once(": ")?.0)).collect();
    assert_eq!(titles, ["pretrain", "search", "retrain share-0.5-0.5-0.7", "retrain share-0.1"], "{printed}");
    for line in &lines {
        for part in ["epoch", " images/s, loss ", ", validation top-1 0."] {
            assert!(line.contains(part), "no `{part}` in `{line}`");
        }
    }
    let table = text(&output.stdout);
    assert!(table.ends_with("results: runs/tiny/seed=3\n"), "{table}");
    assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
}

#[test]
fn quiet_and_json_leave_the_summary_alone() {
    let workspace = Workspace::new();
    let summary = workspace.path("runs/tiny/seed=3/summary.json");
    let quiet = run(&workspace, &["--quiet", "--json"]);
    assert_eq!(text(&quiet.stderr), "");
    assert_eq!(serde_json::from_slice::<Value>(&quiet.stdout).unwrap(), json(&summary));

    let fresh = run(&workspace, &["--fresh", "--json"]);
    assert!(text(&fresh.stderr).contains("search: 2 epochs"), "progress is shown beside JSON");
    assert_eq!(text(&fresh.stdout).trim_end(), std::fs::read_to_string(&summary).unwrap().trim_end());

    // Of a run that is complete, too.
    let again = run(&workspace, &["--quiet"]);
    assert_eq!(text(&again.stderr), "");
    assert!(text(&again.stdout).contains("share-0.5-0.5-0.7"), "the table stays");
}

#[test]
fn a_reader_that_goes_away_does_not_matter() {
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    let mut command = workspace.command(VITSLIM, &["run", "tiny.ron"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let mut first = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut first).unwrap();
    assert!(first.starts_with("pretrain: "), "{first}");
    assert!(child.wait().unwrap().success());
    assert!(workspace.path("runs/tiny/seed=3/summary.json").exists());
}

/// Runs `arguments` of vitslim on a terminal of its own, and returns what it shows.
fn on_a_terminal(workspace: &Workspace, arguments: &str, environment: &[(&str, &str)]) -> String {
    let line = format!("stty cols 80; '{VITSLIM}' {arguments}");
    let mut command = workspace.command("script", &["-qec", &line, "/dev/null"]);
    for name in ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "FORCE_COLOR"] {
        command.env_remove(name);
    }
    // By which `script` runs the line.
    let output = command
        .env("SHELL", "/bin/sh")
        .env("TERM", "xterm")
        .envs(environment.iter().copied())
        .stdin(Stdio::null())
        .output();
    String::from_utf8_lossy(&output.unwrap().stdout).into_owned()
}

/// Whether there is the `script` of util-linux, which opens a terminal.
fn has_script() -> bool {
    let version = Command::new("script").arg("--version").output();
    version.is_ok_and(|output| text(&output.stdout).contains("util-linux"))
}

#[test]
fn colours_are_for_terminals_and_off_with_no_color() {
    if !has_script() {
        return;
    }
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    // A report, help, and a wrong command line.
    for arguments in ["run tiny.ron --set sead=1", "run --help", "run --sed"] {
        let colours = |environment| on_a_terminal(&workspace, arguments, environment).contains("\x1b[");
        assert!(colours(&[]), "`{arguments}` has colours on a terminal");
        assert!(!colours(&[("NO_COLOR", "1")]), "`{arguments}` has none with NO_COLOR");
    }
}

#[test]
fn on_a_terminal_a_stage_has_one_line_that_is_drawn_over() {
    if !has_script() {
        return;
    }
    let workspace = Workspace::new();
    workspace.write("tiny.ron", TINY);
    let shown = on_a_terminal(&workspace, "run tiny.ron", &[]);
    for part in ["pretrain: epoch 1/2, ", "s left, run ", "\r\x1b[2K", "retrain share-0.1: 1 epoch in 00:0"] {
        assert!(shown.contains(part), "no {part:?} in {shown:?}");
    }
    assert!(!on_a_terminal(&workspace, "run tiny.ron --fresh --quiet", &[]).contains("pretrain"));
}

#[test]
fn what_is_left_out_is_told_above_the_line_that_is_drawn_over() {
    if !has_script() {
        return;
    }
    let workspace = Workspace::new();
    for part in ["train", "val", "test"] {
        write_folder(&workspace.path(""), part, 20, "png");
    }
    workspace.write("val/up/3.png", "no image");
    let data = "ImageFolder(path: \".\", image_size: 8, skip_at_most: 1)";
    workspace.write("tiny.ron", &TINY.replace("Digits", data).replace("batch: 128", "batch: 16"));
    let shown = on_a_terminal(&workspace, "run tiny.ron", &[]);
    let told = "data: `./val/up/3.png` is no JPEG, PNG or WebP image; it is left out\r\n";
    let (before, after) = shown.split_once(told).unwrap();
    let cleared = |shown: &str| ["\x1b[1A", "\x1b[2K"].iter().any(|sequence| shown.ends_with(sequence));
    assert!(cleared(before) && after.starts_with("pretrain: epoch"), "{shown:?}");
}

/// What steers a terminal, or hides on it, comes from names and files and must not get there.
#[cfg(unix)]
#[test]
fn control_characters_from_outside_are_shown_as_code_points() {
    let workspace = Workspace::new();
    let evil = "\u{1b}[2J\u{7}\u{202e}";
    for part in ["train", "val"] {
        write_folder(&workspace.path("images"), part, 20, "png");
        let class = format!("images/{part}/class{evil}");
        std::fs::rename(workspace.path(&format!("images/{part}/up")), workspace.path(&class)).unwrap();
        workspace.write(&format!("{class}/{evil}.txt"), "");
    }
    let data = "ImageFolder(path: \"images\", image_size: 8)";
    let good = TINY.replace("Digits", data).replace("batch: 128", "batch: 16");
    workspace.write("good.ron", &good);
    workspace.write(&format!("x{evil}.ron"), &good.replace("seed: 3", &format!("seed: x /* {evil} */")));
    workspace.write("broken.ron", &good.replace("8)", &format!("8, {evil}: \"{evil}\")")));
    workspace.write("path.ron", &good.replace("\"images\"", &format!("\"{evil}\"")));
    let check = |workspace: &Workspace, args: &[&str], shown: &str| {
        let output = workspace.vitslim(args);
        let printed = [text(&output.stdout), text(&output.stderr)].concat();
        assert!(!printed.contains(|c: char| c.is_control() && c != '\n'), "{args:?}: {printed:?}");
        assert!(!printed.contains('\u{202e}'), "{args:?}: {printed:?}");
        assert!(printed.contains(shown), "{args:?} does not show {shown}: {printed}");
    };
    let shown = "\\u{1b}[2J\\u{7}\\u{202e}";
    check(&workspace, &["check", "good.ron"], shown);
    check(&workspace, &["check", &format!("x{evil}.ron")], shown);
    check(&workspace, &["check", "broken.ron"], "unexpected character U+001B, which does not show");
    check(&workspace, &["check", "path.ron"], shown);
    check(&workspace, &["check", &format!("nowhere{evil}.ron")], shown);
    check(
        &workspace,
        &["plan", "good.ron", "--no-times", "--set", &format!("name=\"{evil}\"")],
        "names a folder",
    );
    check(&workspace, &["ls", &format!("nowhere{evil}")], "nowhere");
    // One class fewer to validate: its name is told.
    std::fs::remove_dir_all(workspace.path(&format!("images/val/class{evil}"))).unwrap();
    check(&workspace, &["run", "good.ron"], shown);
}
