//! Where a traversal is, and which dimension each name stands for there.

use std::collections::HashMap;

use super::branches::Branches;

/// Where a traversal is: the path of fields, and what the names of dimensions stand for.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    path: Vec<String>,
    open: Vec<Names>,
    /// Paths of all dimensions that structs have declared so far.
    declared: Vec<String>,
    /// Paths of all groups that are laid out so far, each with those of the dimensions that they group.
    laid_out: Vec<(String, Vec<String>)>,
    /// Units of each group of the dimensions whose sizes are known so far.
    sizes: HashMap<String, Vec<usize>>,
    /// Layers with a sum of dimensions of which more than one has no known size: their paths, each with that of one dimension.
    unsized_sums: Vec<(String, String)>,
    /// Paths into fields by which layers have named dimensions.
    named: Vec<String>,
    /// One of these that was laid out after it was named.
    late: Option<String>,
    undeclared: Vec<String>,
    /// The branches that were come upon so far.
    pub(super) branches: Branches,
    /// The names that fields are lent, as paths in these fields, and whether a layer there borrows them.
    lent: Vec<(String, bool)>,
    /// Fields that are lent something and have a struct to borrow it.
    entered: Vec<String>,
    /// Whether more was closed or left than was opened or entered.
    too_many_ends: bool,
}

/// What a struct declares, or lends to a field.
#[derive(Clone, Debug)]
struct Names {
    /// How long the path is there.
    at: usize,
    /// Whether they are lent to the field that is entered there.
    are_lent: bool,
    meanings: Vec<(&'static str, Meaning)>,
}

/// What a name stands for. Paths are from the root of the model.
#[derive(Clone, Debug)]
enum Meaning {
    /// The dimension at a path.
    Dimension(String),
    /// The groups of the dimension at a path.
    Groups(String),
    /// What a struct inside a field declares at a path. The traversal need not have been there.
    Inside(String),
    /// What the element before declares by a name, in the list that is lent it; and what the name stands for in the first.
    Before(&'static str, Option<Box<Meaning>>),
    /// Nothing: no enclosing struct declares what is borrowed at a path.
    Undeclared(String),
}

/// What a field borrows by a name of its own.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub enum Lent {
    /// What has this name here.
    Name(&'static str),
    /// What the element before declares by the first name; for the first element, what has the second name here.
    Before(&'static str, Option<&'static str>),
}

/// What a name was found to stand for.
pub(crate) struct Resolved {
    /// Path of the dimension.
    pub(crate) path: String,
    /// Whether the name is that of its groups.
    pub(crate) is_groups: bool,
}

impl Scope {
    /// Opens the scope of a struct that declares `dimensions`.
    pub(super) fn open(&mut self, dimensions: &[&'static str]) {
        for names in self.open.iter().filter(|names| names.are_lent) {
            if let Some(field) = self.path.get(..=names.at) {
                add(&mut self.entered, &field.join("."));
            }
        }
        let dimensions: Vec<_> = dimensions.iter().map(|name| (*name, (*name).to_owned())).collect();
        self.lend(&dimensions);
    }

    /// Opens a scope in which each name stands for the dimension at a path, relative to this place.
    pub(super) fn lend(&mut self, dimensions: &[(&'static str, String)]) {
        let paths: Vec<String> = dimensions.iter().map(|(_, path)| self.path_of(path)).collect();
        self.declared.extend(paths.iter().cloned());
        let names = dimensions.iter().map(|(name, _)| *name);
        let meanings = names.zip(paths.into_iter().map(Meaning::Dimension)).collect();
        self.open.push(Names { at: self.path.len(), are_lent: false, meanings });
    }

    /// Opens a scope in which each name stands for what `field`, which is entered next, is lent.
    pub(super) fn lend_as(&mut self, field: &str, lent: &[(&'static str, Lent)]) {
        for (_, lent) in lent {
            if let Lent::Name(name) | Lent::Before(_, Some(name)) = lent {
                self.borrow(name);
            }
        }
        let meaning = |lent: &Lent| match lent {
            Lent::Name(name) => self.meaning(name),
            Lent::Before(name, first) => {
                Meaning::Before(name, first.map(|first| Box::new(self.meaning(first))))
            }
        };
        let meanings = lent.iter().map(|(name, lent)| (*name, meaning(lent))).collect();
        let field = self.path_of(field);
        self.lent.extend(lent.iter().map(|(name, _)| (format!("{field}.{name}"), false)));
        self.open.push(Names { at: self.path.len(), are_lent: true, meanings });
    }

    /// Lets `name` stand for what is declared at `path`, relative to this place, in the scope opened last.
    pub(super) fn inside(&mut self, name: &'static str, path: &str) {
        self.mean(name, Meaning::Inside(self.path_of(path)));
    }

    /// Lets `groups` stand for those of the dimensions at `paths` in the scope opened last.
    pub(super) fn declare_groups(&mut self, groups: &'static str, paths: Vec<String>) {
        let Some(first) = paths.first().cloned() else { return };
        let path = self.path_of(groups);
        let is_here = |named: &&String| **named == path || paths.contains(named);
        self.late = self.late.take().or_else(|| self.named.iter().find(is_here).cloned());
        self.mean(groups, Meaning::Groups(first));
        self.laid_out.push((path, paths));
    }

    /// Whether one layout has both dimensions.
    pub(super) fn are_laid_out_together(&self, one: &str, other: &str) -> bool {
        let has = |paths: &[String], path: &str| paths.iter().any(|laid_out| laid_out == path);
        self.laid_out.iter().any(|(_, paths)| has(paths, one) && has(paths, other))
    }

    /// Units of each group of the dimension at `path`, if a layer or layout has told them.
    pub(super) fn sizes(&self, path: &str) -> Option<&[usize]> {
        self.sizes.get(path).map(Vec::as_slice)
    }

    /// Remembers the units of each group of the dimension at `path`.
    pub(super) fn learn(&mut self, path: &str, sizes: Vec<usize>) {
        self.sizes.insert(path.to_owned(), sizes);
    }

    /// Remembers that the size of `dimension` is needed to take apart the features of `layer`.
    pub(super) fn lack(&mut self, layer: String, dimension: String) {
        self.unsized_sums.push((layer, dimension));
    }

    /// A layer and a dimension without which its features cannot be taken apart, since nothing tells the size.
    pub(super) fn lacking(&self) -> Option<&(String, String)> {
        self.unsized_sums.first()
    }

    /// Number of dimensions whose sizes are known.
    pub(super) fn known(&self) -> usize {
        self.sizes.len()
    }

    /// The scope of another traversal, that knows from the beginning what this one has learnt.
    pub(super) fn again(&self) -> Self {
        Self { sizes: self.sizes.clone(), ..Self::default() }
    }

    fn mean(&mut self, name: &'static str, meaning: Meaning) {
        if let Some(names) = self.open.last_mut() {
            names.meanings.push((name, meaning));
        }
    }

    pub(super) fn close(&mut self) {
        self.too_many_ends |= self.open.pop().is_none();
    }

    pub(super) fn enter(&mut self, field: &str) {
        self.path.push(field.to_owned());
    }

    pub(super) fn exit(&mut self) {
        self.too_many_ends |= self.path.pop().is_none();
    }

    /// Why the traversal did not end where it began, if a part of it that is written by hand does not close what it opens.
    pub(crate) fn unbalanced(&self) -> Option<String> {
        match (self.open.last(), self.path.as_slice(), self.too_many_ends) {
            (None, [], false) => None,
            (Some(open), ..) => Some(format!("the scope of {} is never closed", open.told())),
            (None, [.., field], _) => Some(format!("the field `{field}` is entered and never left")),
            (None, [], true) => Some("more scopes are closed, or fields left, than were opened".to_owned()),
        }
    }

    /// Path of `field` of the current struct.
    pub(crate) fn path_of(&self, field: &str) -> String {
        join(&self.path, field)
    }

    /// The dimension called `name`, or whose groups are called so, in the innermost enclosing struct that declares one.
    pub(crate) fn resolve(&mut self, name: &str) -> Option<Resolved> {
        self.stands_for(name).ok()
    }

    /// Likewise; where no enclosing struct declares one, the path at which it is borrowed.
    pub(super) fn stands_for(&mut self, name: &str) -> Result<Resolved, String> {
        self.borrow(name);
        match self.meaning(name) {
            Meaning::Dimension(path) => Ok(Resolved { path, is_groups: false }),
            Meaning::Groups(path) => Ok(Resolved { path, is_groups: true }),
            Meaning::Inside(path) => {
                add(&mut self.named, &path);
                let groups = self.laid_out.iter().find(|(groups, _)| *groups == path);
                let of = groups.and_then(|(_, of)| of.first()).cloned();
                Ok(Resolved { is_groups: of.is_some(), path: of.unwrap_or(path) })
            }
            Meaning::Undeclared(path) => Err(path),
            Meaning::Before(..) => Err(self.path_of(name)),
        }
    }

    /// Remembers a borrowed dimension that no enclosing struct declares.
    pub(super) fn miss(&mut self, path: &String) {
        add(&mut self.undeclared, path);
    }

    /// Marks `name` as borrowed where it is lent.
    fn borrow(&mut self, name: &str) {
        let lender = self.open.iter().rev().find(|names| names.find(name).is_some());
        if let Some(Names { at, are_lent: true, .. }) = lender
            && let Some(field) = self.path.get(..=*at)
        {
            let path = join(field, name);
            self.lent.iter_mut().filter(|(lent, _)| *lent == path).for_each(|(_, used)| *used = true);
        }
    }

    /// What `name` stands for here, never [`Meaning::Before`].
    fn meaning(&self, name: &str) -> Meaning {
        let found = self.open.iter().rev().find_map(|names| Some((names.at, names.find(name)?)));
        match found {
            Some((at, Meaning::Before(dimension, first))) => {
                let list = self.path.get(..=at).unwrap_or_default();
                let index = self.path.get(at + 1).and_then(|index| index.parse::<usize>().ok()).unwrap_or(0);
                match (index.checked_sub(1), first) {
                    (Some(before), _) => Meaning::Inside(join(list, &format!("{before}.{dimension}"))),
                    (None, Some(first)) => (**first).clone(),
                    (None, None) => Meaning::Undeclared(join(list, &format!("{index}.{name}"))),
                }
            }
            Some((_, meaning)) => meaning.clone(),
            None => {
                let at = self.open.last().map_or(self.path.len(), |names| names.at);
                Meaning::Undeclared(join(&self.path[..at.min(self.path.len())], name))
            }
        }
    }

    /// Paths of the borrowed dimensions found so far that no enclosing struct declares.
    pub fn undeclared(&self) -> &[String] {
        &self.undeclared
    }

    /// What is lent to fields in which something could borrow it: the path of each name there, and whether something does.
    pub(crate) fn lent(&self) -> impl Iterator<Item = &(String, bool)> {
        let is_entered = |path: &str| {
            path.rsplit_once('.')
                .is_some_and(|(field, _)| self.entered.iter().any(|entered| entered == field))
        };
        self.lent.iter().filter(move |(path, _)| is_entered(path))
    }

    /// What its struct calls the groups of the dimension at `path`, if it is grouped.
    pub(super) fn groups_of(&self, path: &str) -> Option<&str> {
        let (groups, _) = self.laid_out.iter().find(|(_, of)| of.iter().any(|of| of == path))?;
        groups.rsplit('.').next()
    }

    /// A path into a field that leads to no dimension, and the names that are declared there.
    pub(super) fn astray(&self) -> Option<(String, Vec<String>)> {
        let is_known = |path: &String| {
            self.declared.contains(path) || self.laid_out.iter().any(|(groups, _)| groups == path)
        };
        let path = self.named.iter().find(|path| !is_known(path))?;
        let (place, _) = path.rsplit_once('.')?;
        let there = self.declared.iter().filter_map(|declared| declared.rsplit_once('.'));
        let names = there.filter(|(around, _)| *around == place).map(|(_, name)| name.to_owned());
        Some((path.clone(), names.collect()))
    }

    /// A path into a field by which a layer named a grouped dimension, or its groups, before they were laid out.
    pub(super) fn late(&self) -> Option<&String> {
        self.late.as_ref()
    }
}

impl Names {
    fn find(&self, name: &str) -> Option<&Meaning> {
        self.meanings.iter().find(|(own, _)| *own == name).map(|(_, meaning)| meaning)
    }

    fn told(&self) -> String {
        let path = |meaning: &Meaning| match meaning {
            Meaning::Dimension(path) | Meaning::Inside(path) => Some(format!("`{path}`")),
            _ => None,
        };
        let paths: Vec<String> = self.meanings.iter().filter_map(|(_, meaning)| path(meaning)).collect();
        if paths.is_empty() { "a struct".to_owned() } else { paths.join(", ") }
    }
}

fn add(paths: &mut Vec<String>, path: &String) {
    if !paths.contains(path) {
        paths.push(path.clone());
    }
}

fn join(path: &[String], name: &str) -> String {
    path.iter().map(String::as_str).chain([name]).collect::<Vec<_>>().join(".")
}
