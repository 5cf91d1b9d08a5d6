//! Reads the files of a crate, and the paths in them: `use` items, and paths in code that begin with `crate`, `self`, `super` or a
//! module of the same file.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Item, UseTree, Visibility};

/// Segments of a path: `["crate", "slim", "Plan"]`.
pub type Segments = Vec<String>;

/// A file and the paths in it.
#[derive(Debug, Default)]
pub struct File {
    /// Its path below `src`: `slim/plan.rs`.
    pub name: String,
    /// Its module: `["slim", "plan"]`.
    module: Segments,
    /// Whether it is only compiled for tests.
    pub is_test: bool,
    /// Paths in its code.
    pub paths: BTreeSet<Segments>,
    /// Paths in its tests.
    pub test_paths: BTreeSet<Segments>,
    /// Names that it exports from elsewhere, each with its path.
    exports: Vec<(String, Segments)>,
}

/// The files of a crate, by their modules.
pub struct Source(BTreeMap<Segments, File>);

impl Source {
    /// Reads `lib.rs` in the folder `root`, and the files of its modules.
    pub fn read(root: &Path) -> Self {
        let mut source = Self(BTreeMap::new());
        source.read_module(root, &root.join("lib.rs"), Vec::new(), false);
        source
    }

    fn read_module(&mut self, root: &Path, path: &Path, module: Segments, is_test: bool) {
        let text =
            std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let parsed = syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let mut file = File { name, module: module.clone(), is_test, ..File::default() };
        let children = file.take(&parsed.items, &module, is_test);
        self.0.insert(module.clone(), file);
        for (child, is_test) in children {
            let folder = module.iter().fold(root.to_owned(), |folder, step| folder.join(step));
            let (beside, inside) = (folder.join(format!("{child}.rs")), folder.join(&child).join("mod.rs"));
            let path = if inside.exists() { inside } else { beside };
            self.read_module(root, &path, [module.clone(), vec![child]].concat(), is_test);
        }
    }

    pub fn files(&self) -> impl Iterator<Item = &File> {
        self.0.values()
    }

    /// The file that defines what a path in `file` names, unless that is in another crate.
    pub fn resolve(&self, file: &File, path: &[String]) -> Option<&File> {
        let is_own = |first: &String| {
            let is_child = path.len() > 1 && self.0.contains_key(&[&file.module[..], &path[..1]].concat());
            is_child || file.exports.iter().any(|(name, _)| name == first)
        };
        let (mut module, steps) = match path.split_first()? {
            (first, steps) if first == "crate" || first == "vitslim_core" => (Vec::new(), steps),
            (first, _) if is_own(first) => (file.module.clone(), path),
            _ => return None,
        };
        // Not `crate` alone, as in `pub(crate)`.
        steps.first()?;
        for (index, step) in steps.iter().enumerate() {
            let file = self.0.get(&module)?;
            let child = [&module[..], std::slice::from_ref(step)].concat();
            let export = file.exports.iter().find(|(name, _)| name == step);
            // A function may have the name of its module, so that the last step is an export first.
            match (export, self.0.contains_key(&child)) {
                (Some((_, path)), is_child) if !is_child || index + 1 == steps.len() => {
                    // What is exported from another crate is this file's.
                    return self.resolve(file, path).or(Some(file));
                }
                (_, true) => module = child,
                // An item, and what is in it.
                _ => break,
            }
        }
        self.0.get(&module)
    }
}

impl File {
    /// Takes in the paths of `items`, which are in the module `here`. Returns the modules that they declare, and whether each is
    /// only for tests.
    fn take(&mut self, items: &[Item], here: &[String], is_test: bool) -> Vec<(String, bool)> {
        let mut declared = Vec::new();
        for item in items {
            let is_test = is_test || is_for_tests(item);
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
                other => scan(other.to_token_stream(), &mut found),
            }
            let found = found.into_iter().filter_map(|(name, path)| Some((name, absolute(path, here)?)));
            match item {
                // Not `pub(super) use a_macro;`, which has no path.
                Item::Use(item) if !matches!(item.vis, Visibility::Inherited) => {
                    self.exports.extend(found.filter(|(_, path)| path.len() > 1));
                }
                _ if is_test => self.test_paths.extend(found.map(|(_, path)| path)),
                _ => self.paths.extend(found.map(|(_, path)| path)),
            }
        }
        declared
    }
}

/// Whether an attribute of `item` is `#[cfg(test)]`, alone or among other conditions.
fn is_for_tests(item: &Item) -> bool {
    let tokens: Vec<TokenTree> = item.to_token_stream().into_iter().collect();
    let attributes = tokens.chunks(2).map_while(|pair| match pair {
        [TokenTree::Punct(mark), TokenTree::Group(attribute)] if mark.as_char() == '#' => {
            Some(attribute.stream().to_string())
        }
        _ => None,
    });
    let mut conditions = attributes.filter(|attribute| attribute.starts_with("cfg"));
    conditions.any(|condition| condition.split(|c: char| !c.is_alphanumeric()).any(|word| word == "test"))
}

/// `path` from `crate` on, if it begins with `self` or `super` in the module `here`. `None` of `super` alone, as in
/// `pub(in super::super)`.
fn absolute(path: Segments, here: &[String]) -> Option<Segments> {
    let up = path.iter().take_while(|step| *step == "super").count();
    let is_relative = up > 0 || path[0] == "self";
    match &path[up.max(usize::from(is_relative))..] {
        _ if !is_relative => Some(path),
        [] => None,
        rest => Some([&["crate".to_owned()], &here[..here.len() - up], rest].concat()),
    }
}

/// The paths of a `use` item, each with the name that it introduces.
fn flatten(tree: &UseTree, mut before: Segments, found: &mut Vec<(String, Segments)>) {
    let (last, name) = match tree {
        UseTree::Path(path) => {
            before.push(path.ident.to_string());
            return flatten(&path.tree, before, found);
        }
        UseTree::Group(group) => {
            return group.items.iter().for_each(|tree| flatten(tree, before.clone(), found));
        }
        UseTree::Name(name) => (name.ident.to_string(), name.ident.to_string()),
        UseTree::Rename(rename) => (rename.ident.to_string(), rename.rename.to_string()),
        UseTree::Glob(_) => ("*".to_owned(), "*".to_owned()),
    };
    // `use super::{self, ...}` is the module itself.
    if last != "self" {
        before.push(last);
    }
    found.push((name, before));
}

/// The paths in code. Names that stand alone are paths too, since a file may have exported them.
fn scan(tokens: TokenStream, found: &mut Vec<(String, Segments)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    let is = |index: usize, mark: char| matches!(tokens.get(index), Some(TokenTree::Punct(punct)) if punct.as_char() == mark);
    let mut index = 0;
    while index < tokens.len() {
        match &tokens[index] {
            TokenTree::Group(group) => scan(group.stream(), found),
            TokenTree::Ident(first) => {
                let follows = index > 0
                    && (is(index - 1, '.') || index > 1 && is(index - 1, ':') && is(index - 2, ':'));
                let mut path = vec![first.to_string()];
                while is(index + 1, ':') && is(index + 2, ':') {
                    match tokens.get(index + 3) {
                        Some(TokenTree::Ident(step)) => path.push(step.to_string()),
                        // A `use` in a function.
                        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Brace => {
                            let mut inside = Vec::new();
                            scan(group.stream(), &mut inside);
                            let inside = inside.into_iter();
                            found.extend(inside.map(|(name, rest)| (name, [path.clone(), rest].concat())));
                        }
                        _ => break,
                    }
                    index += 3;
                }
                if !follows {
                    found.push((first.to_string(), path));
                }
            }
            _ => {}
        }
        index += 1;
    }
}
