//! The documents of the repository do what they say. Their Rust is compiled and run by `cargo test --doc`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::workspace::{Workspace, said};

/// Where a `cargo test -p` finds its package.
const PACKAGES: [(&str, &str); 3] =
    [("vitslim-core", "vitslim-core"), ("vitslim-macros", "vitslim-macros"), ("vitslim-tests", "tests")];

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

/// The files of the repository with this extension, without what builds and runs leave.
fn files(extension: &str) -> Vec<PathBuf> {
    let left = ["target", "runs", "artifacts", ".git"];
    let entries = WalkDir::new(root()).sort_by_file_name().into_iter();
    let entries = entries.filter_entry(|entry| !left.iter().any(|name| entry.file_name() == *name));
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
            for word in words(line).iter().filter(|word| word.ends_with(".ron") || word.ends_with(".py")) {
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
    let listed = told.lines().skip_while(|line| *line != "Commands:").skip(1);
    let listed = listed.take_while(|line| !line.is_empty()).filter_map(|line| line.split_whitespace().next());
    for command in listed.filter(|command| *command != "help") {
        assert!(known.contains(command), "no document shows `vitslim {command}`");
    }
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
        let trimmed = |text: &str| text.trim().lines().map(str::trim_end).collect::<Vec<_>>().join("\n");
        assert_eq!(trimmed(&printed), trimmed(expected), "{}: `{line}` prints:\n{printed}", block.place);
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
fn paths_and_tests_that_they_name_exist() {
    let folders: Vec<String> = fs::read_dir(root())
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| {
            entry.path().is_dir() && !["target", "runs"].iter().any(|left| entry.file_name() == *left)
        })
        .map(|entry| format!("{}/", entry.file_name().display()))
        .collect();
    let sources: Vec<(PathBuf, String)> =
        files("rs").into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect();
    let has_function = |folder: &Path, name: &str| {
        sources.iter().any(|(path, text)| path.starts_with(folder) && text.contains(&format!("fn {name}")))
    };
    for document in Document::all() {
        let place = document.path.display();
        let in_blocks =
            document.blocks.iter().filter(|block| block.kind == "sh").flat_map(|block| block.text.lines());
        for code in document.inline_code().chain(in_blocks) {
            if folders.iter().any(|folder| code.starts_with(folder)) && !code.contains(['*', '<', ' ']) {
                assert!(root().join(code).exists(), "{place}: there is no `{code}`");
            }
            let is_name = code.chars().all(|c| c.is_ascii_lowercase() || c == '_');
            if is_name && code.matches('_').count() >= 3 {
                assert!(has_function(&root(), code), "{place}: there is no function `{code}`");
            }
            let Some((_, test)) = code.split_once("cargo test -p ") else { continue };
            let test = words(test);
            let folder = PACKAGES.iter().find(|(package, _)| *package == test[0]);
            let folder = root().join(folder.unwrap_or_else(|| panic!("{place}: no package for `{code}`")).1);
            let filter = match test.get(1).map(String::as_str) {
                Some("--test") => {
                    let target = folder.join("tests").join(&test[2]);
                    assert!(
                        target.is_dir() || target.with_extension("rs").is_file(),
                        "{place}: no target for `{code}`"
                    );
                    test.get(3)
                }
                Some("--lib") => test.get(2),
                _ => None,
            };
            for part in filter.iter().flat_map(|filter| filter.split("::")).filter(|part| !part.is_empty()) {
                let is_module = sources.iter().any(|(path, _)| {
                    path.starts_with(&folder)
                        && (path.file_stem().unwrap() == part || path.parent().unwrap().ends_with(part))
                });
                assert!(is_module || has_function(&folder, part), "{place}: no test for `{code}`");
            }
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
        // What `examples/own_architecture` compares with its files.
        let ignored = document.blocks.iter().filter(|block| block.kind.starts_with("rust,")).count();
        assert_eq!(
            ignored,
            if name == "docs/architectures.md" { 3 } else { 0 },
            "{name}: Rust that nothing compiles"
        );
    }
}
