//! The rooms of `vitslim-core/src`, its folders and the files beside them, use one another as `docs/design.md` draws it, and in no circle.
//! Files use one another in no circle either.
//!
//! What is read are paths: `use` items, and paths in code that begin with `crate`, `self`, `super` or a module of the same file. A
//! name that a `mod.rs` exports counts as the file that defines it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, UseTree, Visibility};

/// Arrows between files that are part of a circle and are still to be mended.
const PENDING: &[[&str; 2]] = &[];

/// Segments of a path: `["crate", "slim", "Plan"]`.
type Segments = Vec<String>;

/// A file and the paths in it.
#[derive(Debug, Default)]
struct File {
    /// Its path below `src`: `slim/plan.rs`.
    name: String,
    /// Its module: `["slim", "plan"]`.
    module: Segments,
    /// Whether it is only compiled for tests.
    is_test: bool,
    /// What it defines.
    items: BTreeSet<String>,
    /// Paths in its code.
    paths: BTreeSet<Segments>,
    /// Paths in its tests.
    test_paths: BTreeSet<Segments>,
    /// What it exports again: a name, or `*`, and where it is.
    exports: Vec<(String, Segments)>,
}

/// Each file's uses: the files, each with a path that leads there.
type Arrows = BTreeMap<String, BTreeMap<String, String>>;

struct Source {
    files: BTreeMap<Segments, File>,
}

impl Source {
    fn read(root: &Path) -> Self {
        let mut source = Self { files: BTreeMap::new() };
        source.read_module(root, &root.join("lib.rs"), Vec::new(), false);
        source
    }

    /// Reads the file of `module`, and those of the modules that it declares.
    fn read_module(&mut self, root: &Path, path: &Path, module: Segments, is_test: bool) {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let mut file = File { name, module: module.clone(), is_test, ..File::default() };
        let declared = file.take(&parsed.items, &module, is_test);
        self.files.insert(module.clone(), file);
        for (child, is_test) in declared {
            let folder = module.iter().fold(root.to_owned(), |folder, step| folder.join(step));
            let (beside, inside) = (folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs"));
            let path = if inside.exists() { inside } else { beside };
            self.read_module(root, &path, [module.clone(), vec![child]].concat(), is_test);
        }
    }

    /// The file that a path in `file` leads to, if it is one of ours.
    fn resolve(&self, file: &File, path: &[String]) -> Option<&File> {
        let (mut module, rest) = match path[0].as_str() {
            "crate" | "vitslim_core" => (Vec::new(), &path[1..]),
            // A module of the file, or a name that it exports again.
            first => {
                let is_module =
                    path.len() > 1 && self.files.contains_key(&[&file.module[..], &path[..1]].concat());
                if !is_module && !file.exports.iter().any(|(name, _)| name == first) {
                    return None;
                }
                (file.module.clone(), path)
            }
        };
        let (last, steps) = rest.split_last()?;
        for (index, step) in steps.iter().enumerate() {
            let child = [&module[..], &[step.clone()]].concat();
            match self.files.contains_key(&child) {
                true => module = child,
                // What follows a type or a trait is its own.
                false => return self.defines(&module, &steps[index]),
            }
        }
        self.defines(&module, last)
    }

    /// The file that defines what `module` calls `name`.
    fn defines(&self, module: &[String], name: &str) -> Option<&File> {
        let file = self.files.get(module)?;
        if name == "*" {
            return Some(file);
        }
        let exported = file.exports.iter().find(|(known, _)| known == name);
        let child = || self.files.get(&[module, &[name.to_owned()]].concat());
        let globs = || {
            let globs = file.exports.iter().filter(|(known, _)| known == "*");
            let targets = globs.filter_map(|(_, path)| self.resolve(file, path));
            targets
                .filter_map(|target| self.defines(&target.module, name))
                .find(|found| found.items.contains(name))
        };
        match exported {
            Some((_, path)) => self.resolve(file, path),
            None if file.items.contains(name) => Some(file),
            None => child().or_else(globs).or(Some(file)),
        }
    }

    fn arrows(&self) -> Arrows {
        let arrow = |file: &File, path: &Segments| {
            let target = self.resolve(file, path).filter(|target| target.name != file.name)?;
            Some((target.name.clone(), path.join("::")))
        };
        let of = |file: &File| {
            (file.name.clone(), file.paths.iter().filter_map(|path| arrow(file, path)).collect())
        };
        self.files.values().filter(|file| !file.is_test).map(of).collect()
    }
}

impl File {
    /// Takes the paths out of `items`, which are those of the module `here`. The modules that they declare, and whether each is for tests only.
    fn take(&mut self, items: &[Item], here: &[String], is_test: bool) -> Vec<(String, bool)> {
        let mut declared = Vec::new();
        for item in items {
            let is_test = is_test || attributes(item).iter().any(is_for_tests);
            let mut found = Vec::new();
            match item {
                Item::Mod(module) => match &module.content {
                    None => declared.push((module.ident.to_string(), is_test)),
                    Some((_, items)) => {
                        let inside = [here, &[module.ident.to_string()]].concat();
                        declared.extend(self.take(items, &inside, is_test));
                    }
                },
                Item::Use(item) => flatten(&item.tree, Vec::new(), &mut found),
                other => {
                    self.items.extend(name(other));
                    let mut paths = Vec::new();
                    scan(other.to_token_stream(), &mut paths);
                    found.extend(paths.into_iter().map(|path| (String::new(), path)));
                }
            }
            let found = found.into_iter().filter_map(|(name, path)| Some((name, absolute(path, here)?)));
            match item {
                Item::Use(item) if !matches!(item.vis, Visibility::Inherited) => {
                    // `pub(super) use a_macro;`
                    self.exports.extend(found.filter(|(_, path)| path.len() > 1));
                }
                _ if is_test => self.test_paths.extend(found.map(|(_, path)| path)),
                _ => self.paths.extend(found.map(|(_, path)| path)),
            }
        }
        declared
    }
}

/// `path` from `crate` on, if it begins with `self` or `super`, as it is read in the module `here`; none of a visibility.
fn absolute(path: Segments, here: &[String]) -> Option<Segments> {
    let up = path.iter().take_while(|step| *step == "super").count();
    let is_relative = up > 0 || path[0] == "self";
    let rest = &path[up.max(usize::from(is_relative))..];
    match (is_relative, rest) {
        (false, _) => Some(path),
        (true, []) => None,
        (true, rest) => Some([&["crate".to_owned()], &here[..here.len() - up], rest].concat()),
    }
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn name(item: &Item) -> Option<String> {
    let ident = match item {
        Item::Const(item) => &item.ident,
        Item::Enum(item) => &item.ident,
        Item::Fn(item) => &item.sig.ident,
        Item::Macro(item) => item.ident.as_ref()?,
        Item::Static(item) => &item.ident,
        Item::Struct(item) => &item.ident,
        Item::Trait(item) => &item.ident,
        Item::Type(item) => &item.ident,
        _ => return None,
    };
    Some(ident.to_string())
}

/// `#[cfg(test)]`, also with more conditions.
fn is_for_tests(attribute: &Attribute) -> bool {
    let condition = attribute.to_token_stream().to_string().replace(' ', "");
    condition.starts_with("#[cfg(") && (condition.contains("(test)") || condition.contains("(test,"))
}

/// The paths of a `use` item, each with the name that it gets.
fn flatten(tree: &UseTree, mut before: Segments, paths: &mut Vec<(String, Segments)>) {
    match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            flatten(&path.tree, before, paths);
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, before.clone(), paths)),
        // `use super::{self, ...}` is the module itself.
        UseTree::Name(name) if name.ident == "self" => {
            paths.push((before.last().cloned().unwrap_or_default(), before))
        }
        UseTree::Name(name) => {
            before.push(name.ident.to_string());
            paths.push((name.ident.to_string(), before));
        }
        UseTree::Rename(rename) => {
            before.push(rename.ident.to_string());
            paths.push((rename.rename.to_string(), before));
        }
        UseTree::Glob(_) => {
            before.push("*".to_owned());
            paths.push(("*".to_owned(), before));
        }
    }
}

/// The paths in code, and names that stand alone, which a file may have exported again.
fn scan(tokens: TokenStream, paths: &mut Vec<Segments>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |index: usize, mark: char| matches!(tokens.get(index), Some(TokenTree::Punct(p)) if p.as_char() == mark);
    let mut index = 0;
    while index < tokens.len() {
        match &tokens[index] {
            TokenTree::Group(group) => scan(group.stream(), paths),
            TokenTree::Ident(first) => {
                let begins = index == 0
                    || !(is(index - 1, ':') && index > 1 && is(index - 2, ':') || is(index - 1, '.'));
                let mut path = vec![first.to_string()];
                while is(index + 1, ':') && is(index + 2, ':') {
                    match tokens.get(index + 3) {
                        Some(TokenTree::Ident(step)) => path.push(step.to_string()),
                        // A `use` in a function.
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                            let mut inner = Vec::new();
                            scan(group.stream(), &mut inner);
                            paths.extend(inner.into_iter().map(|rest| [path.clone(), rest].concat()));
                        }
                        _ => break,
                    }
                    index += 3;
                }
                if begins {
                    paths.push(path);
                }
            }
            _ => {}
        }
        index += 1;
    }
}

/// A circle of `arrows`, if there is one: what is left when all that uses nothing left is taken away has one.
fn circle(arrows: &BTreeMap<String, BTreeSet<String>>) -> Option<Vec<String>> {
    let mut left = arrows.clone();
    loop {
        let before = left.len();
        let names: BTreeSet<String> = left.keys().cloned().collect();
        left.retain(|_, uses| uses.iter().any(|used| names.contains(used)));
        if left.len() == before {
            break;
        }
    }
    let mut walked: Vec<String> = vec![left.keys().next()?.clone()];
    loop {
        let next = left[walked.last()?].iter().find(|used| left.contains_key(*used))?;
        if let Some(begin) = walked.iter().position(|known| known == next) {
            return Some(walked.split_off(begin));
        }
        walked.push(next.clone());
    }
}

fn room(file: &str) -> &str {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs")
}

fn source() -> Source {
    Source::read(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../vitslim-core/src"))
}

/// The rooms and their arrows in `docs/design.md`: the block that is fenced as `rooms`, a line for each.
fn drawn() -> BTreeMap<String, BTreeSet<String>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/design.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (_, after) = text.split_once("```rooms\n").expect("docs/design.md has no block of `rooms`");
    let (block, _) = after.split_once("```").unwrap();
    let line = |line: &str| {
        let (room, uses) = line.split_once(':').unwrap_or_else(|| panic!("`{line}` is not `room: others`"));
        (room.trim().to_owned(), uses.split_whitespace().map(str::to_owned).collect())
    };
    block.lines().filter(|line| !line.trim().is_empty()).map(line).collect()
}

/// The rooms and their arrows in the code, each with what makes it.
fn rooms(arrows: &Arrows) -> BTreeMap<String, BTreeMap<String, Vec<String>>> {
    let mut rooms: BTreeMap<String, BTreeMap<String, Vec<String>>> = BTreeMap::new();
    for (file, uses) in arrows.iter().filter(|(file, _)| *file != "lib.rs") {
        let arrows = rooms.entry(room(file).to_owned()).or_default();
        for (used, path) in uses.iter().filter(|(used, _)| room(used) != room(file)) {
            arrows.entry(room(used).to_owned()).or_default().push(format!("{file}: {path}"));
        }
    }
    rooms
}

#[test]
fn rooms_are_as_they_are_drawn() {
    let (drawn, found) = (drawn(), rooms(&source().arrows()));
    let mut wrong = Vec::new();
    for (room, uses) in &found {
        match drawn.get(room) {
            None => wrong.push(format!("`{room}` is not drawn")),
            Some(drawn) => {
                for (used, paths) in uses.iter().filter(|(used, _)| !drawn.contains(*used)) {
                    wrong.push(format!(
                        "`{room}` uses `{used}`, and no arrow is drawn there:\n    {}",
                        paths.join("\n    ")
                    ));
                }
            }
        }
    }
    for (room, uses) in &drawn {
        match found.get(room) {
            None => wrong.push(format!("`{room}` is drawn, but there is no such room")),
            Some(found) => {
                let unused = uses.iter().filter(|used| !found.contains_key(*used));
                wrong.extend(unused.map(|used| {
                    format!("an arrow is drawn from `{room}` to `{used}`, which it does not use")
                }));
            }
        }
    }
    assert!(wrong.is_empty(), "docs/design.md and the code differ:\n{}", wrong.join("\n"));
}

#[test]
fn no_rooms_are_in_a_circle() {
    let found = rooms(&source().arrows());
    let arrows = found.iter().map(|(room, uses)| (room.clone(), uses.keys().cloned().collect())).collect();
    if let Some(circle) = circle(&arrows) {
        let next = circle.iter().cycle().skip(1);
        let told = circle
            .iter()
            .zip(next)
            .map(|(from, to)| format!("{from} -> {to}:\n    {}", found[from][to].join("\n    ")));
        panic!("rooms in a circle:\n{}", told.collect::<Vec<_>>().join("\n"));
    }
}

#[test]
fn no_files_are_in_a_circle() {
    let found = source().arrows();
    let is_pending = |from: &str, to: &str| PENDING.contains(&[from, to]);
    let uses = |(from, uses): (&String, &BTreeMap<String, String>)| {
        (from.clone(), uses.keys().filter(|to| !is_pending(from, to)).cloned().collect())
    };
    let mut arrows: BTreeMap<String, BTreeSet<String>> = found.iter().map(uses).collect();
    let mut told = Vec::new();
    while let Some(circle) = circle(&arrows) {
        let next = circle.iter().cycle().skip(1);
        let arrow = |(from, to): (&String, &String)| format!("{from} -> {to}: {}", found[from][to]);
        told.push(circle.iter().zip(next).map(arrow).collect::<Vec<_>>().join("\n"));
        // Look for others without its first arrow.
        let (first, second) = (&circle[0], &circle[1 % circle.len()]);
        arrows.get_mut(first).unwrap().remove(second);
    }
    assert!(told.is_empty(), "files in circles:\n{}", told.join("\n\n"));
}

/// Tests of a room use what the room itself may use, or what is below that.
#[test]
fn no_test_climbs() {
    let source = source();
    let found = rooms(&source.arrows());
    let mut wrong = Vec::new();
    for file in source.files.values() {
        let room_of_file = room(&file.name);
        let mut below = BTreeSet::from([room_of_file.to_owned()]);
        let mut open = vec![room_of_file.to_owned()];
        while let Some(next) = open.pop() {
            let uses = found.get(&next).into_iter().flat_map(|uses| uses.keys());
            open.extend(uses.filter(|used| below.insert((*used).clone())).cloned());
        }
        let paths = if file.is_test {
            file.paths.iter().chain(&file.test_paths).collect()
        } else {
            file.test_paths.iter().collect::<Vec<_>>()
        };
        for path in paths {
            let target = source.resolve(file, path).filter(|target| !below.contains(room(&target.name)));
            wrong.extend(
                target.map(|target| format!("{}: {} in {}", file.name, path.join("::"), target.name)),
            );
        }
    }
    assert!(wrong.is_empty(), "tests that use what is above their room:\n{}", wrong.join("\n"));
}
