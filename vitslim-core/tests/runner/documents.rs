//! The documents of the repository do what they say. Their Rust is compiled and run by `cargo test --doc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use burn::store::{BurnToPyTorchAdapter, ModuleSnapshot, SafetensorsStore};
use burn::tensor::Device;
use serde_json::json;
use vitslim_core::export::{Format, export};
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::run::Subnet;
use vitslim_core::slim::{Plan, Slimmable, describe};
use walkdir::WalkDir;

use super::data::{pack, write_folder, write_idx};
use super::workspace::{Workspace, said};

/// What git, builds, runs and fuzzing leave.
const LEFT: [&str; 4] = [".git", "target", "runs", "artifacts"];

/// The file that the documents tell a reader to write.
const OF_THE_READER: &str = "mine.ron";

/// A Markdown file of the repository.
struct Document {
    path: PathBuf,
    /// Its lines outside of blocks.
    prose: Vec<String>,
    blocks: Vec<Block>,
}

/// A fenced block.
struct Block {
    /// The document and the line that it begins at.
    place: String,
    /// What stands behind the fence: `ron`, `sh`, `console`.
    kind: String,
    text: String,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").canonicalize().unwrap()
}

/// The files of the repository with this extension.
fn files(extension: &str) -> Vec<PathBuf> {
    let entries = WalkDir::new(root()).sort_by_file_name().into_iter();
    let entries = entries.filter_entry(|entry| !LEFT.iter().any(|left| entry.file_name() == *left));
    let paths = entries.map(|entry| entry.unwrap().into_path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

impl Document {
    fn read(path: PathBuf) -> Self {
        let text = fs::read_to_string(&path).unwrap();
        let (mut prose, mut blocks) = (Vec::new(), Vec::new());
        let mut lines = text.lines().enumerate();
        while let Some((number, line)) = lines.next() {
            let Some(kind) = line.strip_prefix("```") else {
                prose.push(line.to_owned());
                continue;
            };
            let inside = lines.by_ref().map(|(_, line)| line).take_while(|line| *line != "```");
            let text = inside.collect::<Vec<_>>().join("\n");
            let place = format!("{}:{}", path.display(), number + 1);
            blocks.push(Block { place, kind: kind.to_owned(), text });
        }
        Self { path, prose, blocks }
    }

    fn all() -> Vec<Self> {
        files("md").into_iter().map(Self::read).collect()
    }

    /// Text between backticks.
    fn inline_code(&self) -> impl Iterator<Item = &str> {
        self.prose.iter().flat_map(|line| line.split('`').skip(1).step_by(2))
    }

    /// The anchors that GitHub gives to the headings.
    fn anchors(&self) -> Vec<String> {
        let headings = self.prose.iter().filter(|line| line.starts_with('#'));
        let letters = |heading: &String| -> String {
            let heading = heading.trim_start_matches('#').trim().to_lowercase().replace(' ', "-");
            heading.chars().filter(|c| c.is_alphanumeric() || "-_".contains(*c)).collect()
        };
        headings.map(letters).collect()
    }

    /// Where links lead, without those to the web.
    fn links(&self) -> impl Iterator<Item = &str> {
        let targets = self.prose.iter().flat_map(|line| line.split("](").skip(1));
        let targets = targets.map(|rest| rest.split(')').next().unwrap_or_default());
        targets.filter(|target| !target.starts_with("http"))
    }
}

fn blocks<'a>(documents: &'a [Document], kind: &'a str) -> impl Iterator<Item = &'a Block> {
    documents.iter().flat_map(|document| &document.blocks).filter(move |block| block.kind == kind)
}

/// A folder like the repository for the binary: with the experiments, also where it stands.
fn workspace() -> Workspace {
    let workspace = Workspace::new();
    fs::create_dir(workspace.path("experiments")).unwrap();
    for file in files("ron").iter().filter(|file| file.parent() == Some(&root().join("experiments"))) {
        for folder in ["experiments", "."] {
            fs::copy(file, workspace.path(folder).join(file.file_name().unwrap())).unwrap();
        }
    }
    workspace
}

/// Writes the file of weights that the documents start from.
fn trained_deit(workspace: &Workspace) {
    const DEIT: &str = "deit_tiny_patch16_224";
    let (_, config) = Vit::presets().into_iter().find(|(name, _)| *name == DEIT).unwrap();
    let model = Vit::init(&config, &Device::flex()).unwrap();
    let store = SafetensorsStore::from_file(workspace.path(&format!("{DEIT}.safetensors")));
    model.save_into(&mut store.with_to_adapter(BurnToPyTorchAdapter)).unwrap();
}

/// Writes the network of a run that the documents start from, and the data that it is trained on.
fn left_network(workspace: &Workspace) {
    let text = fs::read_to_string(root().join("experiments/quickstart.ron")).unwrap();
    let config = VitConfig {
        image_size: 8,
        channels: 1,
        classes: 10,
        patch_size: 2,
        dim: 64,
        depth: 6,
        heads: 4,
        ..VitConfig::default()
    };
    let dense = Vit::init(&config, &Device::flex()).unwrap();
    let mut plan = Plan::whole(&describe(&dense).unwrap());
    plan.get_mut("blocks.5.tokens").unwrap().keep.truncate(8);
    let images =
        json!({ "channels": 1, "size": 8, "resize": null, "white": 16, "mean": [0.3], "std": [0.4] });
    let mut network = json!({ "version": 1, "architecture": "vit", "config": config, "images": images });
    network["classes"] = (0..10).map(|class| class.to_string()).collect();
    network["activations"] = json!([]);
    for field in ["units", "heads", "tokens", "constants"] {
        network[field] = json!({});
    }
    let subnet = Subnet {
        model: dense.slim(&plan).unwrap(),
        plan,
        network: serde_json::from_value(network).unwrap(),
        label: "share-0.5".to_owned(),
        trial: "seed=42".to_owned(),
        experiment: text,
    };
    for (path, bytes) in export(&subnet, Format::Safetensors, &[], "small.safetensors".as_ref()).unwrap() {
        fs::write(workspace.path(path.to_str().unwrap()), bytes).unwrap();
    }
    fs::create_dir(workspace.path("letters")).unwrap();
    write_idx(&workspace.path("letters"), "train", 200);
    write_idx(&workspace.path("letters"), "t10k", 20);
}

/// Writes the shards that the documents name, each with the same images.
fn shards(workspace: &Workspace) {
    let folder = workspace.path("imagenet-wds");
    write_folder(&folder, "train", 2, "png");
    pack(&folder, "train", &folder, 4);
    let shard = |name: String| fs::copy(folder.join("train-00.tar"), folder.join(name)).unwrap();
    for number in 0..64 {
        shard(format!("imagenet-train-{number:04}.tar"));
    }
    shard("imagenet-validation-00.tar".to_owned());
}

/// The words of a command line, as a shell splits them.
fn words(line: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut quoted = false;
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(String::new()),
            c => words.last_mut().unwrap().push(c),
        }
    }
    words
}

/// What a command line gives to the binary, if it runs it.
fn arguments(line: &str) -> Option<Vec<String>> {
    let arguments = match line.strip_prefix("vitslim ") {
        Some(arguments) => arguments,
        None if line.starts_with("cargo run ") => line.split_once(" -- ")?.1,
        None => return None,
    };
    Some(words(arguments.split(" > ").next()?))
}

#[test]
fn the_experiments_that_they_show_are_experiments() {
    let documents = Document::all();
    let workspace = workspace();
    trained_deit(&workspace);
    left_network(&workspace);
    shards(&workspace);
    let mut shown = 0;
    for block in blocks(&documents, "ron") {
        workspace.write(OF_THE_READER, &block.text);
        let output = workspace.vitslim(&["plan", OF_THE_READER, "--no-times"]);
        assert!(output.status.success(), "{}: {}", block.place, said(&output));
        shown += 1;
    }
    assert!(shown >= 5, "{shown}");
}

#[test]
fn the_commands_that_they_show_are_known() {
    let workspace = workspace();
    let mut known = BTreeSet::new();
    for document in Document::all() {
        let inline = document.inline_code().map(|line| (document.path.display().to_string(), root(), line));
        let mut lines: Vec<_> = inline.collect();
        for block in document.blocks.iter().filter(|block| block.kind == "sh") {
            let mut folder = root();
            for line in block.text.lines() {
                match line.strip_prefix("cd ") {
                    Some(inner) => folder = folder.join(inner),
                    None => lines.push((block.place.clone(), folder.clone(), line)),
                }
            }
        }
        for (place, folder, line) in lines {
            assert!(folder.is_dir(), "{place}: there is no `{}`", folder.display());
            let words = words(line);
            // What a command writes need not be there.
            let read = words.windows(2).filter(|pair| pair[0] != "--out").map(|pair| &pair[1]);
            for word in read.filter(|word| word.ends_with(".ron") || word.ends_with(".py")) {
                let there = line.contains(' ') && *word != OF_THE_READER;
                assert!(!there || folder.join(word).is_file(), "{place}: there is no `{word}` for `{line}`");
            }
            let Some(mut arguments) = arguments(line) else { continue };
            arguments.push("--help".to_owned());
            let output = workspace.vitslim(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
            assert!(output.status.success(), "{place}: `{line}`: {}", said(&output));
            known.extend(arguments.first().cloned());
        }
    }
    let told = String::from_utf8(workspace.vitslim(&["--help"]).stdout).unwrap();
    let listed =
        told.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let listed = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next());
    for command in listed.filter(|command| !["", "help"].contains(command)) {
        assert!(known.contains(command), "no document shows `vitslim {command}`");
    }
}

/// Whether two texts are the same, but for rounding errors, which are another machine's too.
fn reads_the_same(a: &str, b: &str) -> bool {
    let rounding = |word: &str| word.parse::<f64>().is_ok_and(|number| number != 0.0 && number.abs() < 1e-10);
    let words = |line: &str| -> Vec<String> {
        let words = line.trim_end().split(' ');
        words.map(|word| if rounding(word) { "rounding".to_owned() } else { word.to_owned() }).collect()
    };
    a.trim_end().lines().map(words).eq(b.trim_end().lines().map(words))
}

#[test]
fn what_commands_print_is_what_they_show() {
    let documents = Document::all();
    let workspace = workspace();
    let mut shown = 0;
    for block in blocks(&documents, "console") {
        let (line, expected) = block.text.split_once('\n').unwrap_or((&block.text, ""));
        let arguments = line.strip_prefix("$ ").and_then(arguments).expect(&block.place);
        let output = workspace.vitslim(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
        let printed = [output.stdout, output.stderr].concat();
        let printed = String::from_utf8(printed).unwrap();
        assert!(reads_the_same(&printed, expected), "{}: `{line}` prints:\n{printed}", block.place);
        shown += 1;
    }
    assert!(shown >= 2, "{shown}");
}

#[test]
fn links_lead_to_files_and_headings() {
    let documents = Document::all();
    for document in &documents {
        let folder = document.path.parent().unwrap();
        for link in document.links() {
            let (file, anchor) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { document.path.clone() } else { folder.join(file) };
            assert!(target.exists(), "{}: `{link}` leads nowhere", document.path.display());
            let target = target.canonicalize().unwrap();
            let anchors = documents.iter().find(|other| other.path == target).map(Document::anchors);
            let there =
                anchor.is_empty() || anchors.is_some_and(|anchors| anchors.iter().any(|a| a == anchor));
            assert!(there, "{}: there is no heading for `{link}`", document.path.display());
        }
    }
}

#[test]
fn paths_that_they_name_exist() {
    let entries = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap());
    let folders =
        entries.filter(|entry| entry.path().is_dir() && !LEFT.iter().any(|left| entry.file_name() == *left));
    let folders: Vec<String> = folders.map(|entry| format!("{}/", entry.file_name().display())).collect();
    for document in Document::all() {
        for path in document.inline_code().filter(|code| !code.contains(['*', '<', ' '])) {
            let is_ours = folders.iter().any(|folder| path.starts_with(folder));
            assert!(
                !is_ours || root().join(path).exists(),
                "{}: there is no `{path}`",
                document.path.display()
            );
        }
    }
}

/// Names of packages, source files, their folders and functions.
fn names() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for path in files("rs") {
        let text = fs::read_to_string(&path).unwrap();
        let functions = text.lines().filter_map(|line| line.split_once("fn ")?.1.split(['(', '<']).next());
        names.extend(functions.map(str::to_owned));
        let parts = path.strip_prefix(root()).unwrap().with_extension("");
        names.extend(parts.iter().map(|part| part.display().to_string()));
    }
    for path in files("toml") {
        let text = fs::read_to_string(path).unwrap();
        names.extend(
            text.lines()
                .filter_map(|line| Some(line.strip_prefix("name = \"")?.trim_end_matches('"').to_owned())),
        );
    }
    names
}

#[test]
fn tests_that_they_name_exist() {
    let names = names();
    for document in Document::all() {
        let place = document.path.display();
        let in_blocks = document.blocks.iter().filter(|block| block.kind == "sh");
        let in_blocks = in_blocks.flat_map(|block| block.text.lines());
        for code in document.inline_code().chain(in_blocks) {
            let command = code.split_once("cargo test ").map_or("", |(_, command)| command);
            let command = command.split("--target").next().unwrap_or_default();
            let words = command.split([' ', ':']).filter(|word| !word.is_empty() && !word.starts_with('-'));
            for word in words {
                assert!(names.iter().any(|name| name.starts_with(word)), "{place}: no `{word}` for `{code}`");
            }
            let is_test = document.path.ends_with("CONTRIBUTING.md") && code.matches('_').count() >= 3;
            let is_test = is_test && code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            assert!(!is_test || names.contains(code), "{place}: there is no test `{code}`");
        }
    }
}

#[test]
fn their_rust_is_compiled() {
    let library = fs::read_to_string(root().join("vitslim-core/src/lib.rs")).unwrap();
    for document in Document::all() {
        let name = document.path.strip_prefix(root()).unwrap().display().to_string();
        let has_rust = document.blocks.iter().any(|block| block.kind == "rust");
        assert!(
            !has_rust || library.contains(&format!("../../{name}\")]")),
            "`{name}` is no doctest in `lib.rs`"
        );
        // What the crates in `examples` compare with their files.
        let ignored = document.blocks.iter().filter(|block| block.kind.starts_with("rust,")).count();
        let compared = match name.as_str() {
            "docs/architectures.md" => 3,
            "docs/recipes.md" => 1,
            _ => 0,
        };
        assert_eq!(ignored, compared, "{name}: Rust that nothing compiles");
    }
}
