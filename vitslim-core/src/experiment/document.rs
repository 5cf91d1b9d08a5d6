//! A file, what it starts from and its `--set` arguments, read into a tree.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::base;
use super::de::{Reading, read};
use super::fault::{Fault, Faults};
use super::keys::KeyError;
use super::overrides::{self, Override};
use super::schema::{self, Experiment};
use super::source::{Source, Span};
use super::tree::{Name, Node, Value};
use super::trials::Trials;

/// Why a file could not be read as an experiment.
#[derive(Debug, Error, Diagnostic)]
pub enum LoadError {
    /// The file cannot be opened.
    #[error("cannot read `{}`", .path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// There is a folder where a file should be.
    #[error("`{}` is a folder, expected an experiment file such as `experiments/digits.ron`", .0.display())]
    Folder(PathBuf),
    /// The file is not text.
    #[error("`{}` is not a text file: its byte {offset} is not UTF-8", .path.display())]
    NotText {
        /// The file.
        path: PathBuf,
        /// Where the text ends.
        offset: usize,
    },
    /// There is nothing in the file.
    #[error("`{}` is empty, expected `Experiment(...)`", .0.display())]
    Empty(PathBuf),
    /// What is written is not an experiment.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Faults(#[from] Faults),
}

/// An experiment as written, with what it starts from and the `--set` arguments in it; or one trial of it.
#[derive(Clone, Debug)]
pub struct Document {
    root: Node,
    trial: Option<String>,
}

impl Document {
    /// Reads the file at `path` and applies the `--set` arguments, the last one winning.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not RON, or an argument does not fit it.
    pub fn read(path: &Path, sets: &[String]) -> Result<Self, LoadError> {
        if path.is_dir() {
            return Err(LoadError::Folder(path.to_owned()));
        }
        let bytes =
            std::fs::read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let text = String::from_utf8(bytes).map_err(|error| LoadError::NotText {
            path: path.to_owned(),
            offset: error.utf8_error().valid_up_to(),
        })?;
        if text.trim().is_empty() {
            return Err(LoadError::Empty(path.to_owned()));
        }
        Ok(Self::of_file(path, &path.display().to_string(), &text, sets)?)
    }

    /// Reads `text`, which is that of the file `name`, and applies the `--set` arguments, the last one winning.
    ///
    /// # Errors
    ///
    /// When the text is not RON, or an argument does not fit it, or a file that it starts from cannot be read.
    pub fn parse(name: &str, text: &str, sets: &[String]) -> Result<Self, Faults> {
        Self::of_file(Path::new(name), name, text, sets)
    }

    fn of_file(path: &Path, name: &str, text: &str, sets: &[String]) -> Result<Self, Faults> {
        let source = Source::new(name, text);
        let Some(mut root) = base::read(&source, path)? else {
            let end = Span::new(&source, text.len(), text.len());
            return Err(Fault::new(end, "expected `Experiment(...)`, found nothing").into());
        };
        let (read, wrong): (Vec<_>, Vec<_>) =
            sets.iter().map(|argument| Override::read(argument)).partition(Result::is_ok);
        if let Some(wrong) = wrong.into_iter().filter_map(Result::err).reduce(Faults::and) {
            return Err(wrong);
        }
        // What one may set depends on those before it, so that here the first mistake is the only one that is sure.
        for argument in read.into_iter().flatten() {
            argument.apply(&mut root)?;
        }
        Ok(Self { root, trial: None })
    }

    /// The experiment that the tree `root` is.
    pub(super) fn of_tree(root: Node) -> Self {
        Self { root, trial: None }
    }

    /// The trials of the experiment: one, if nothing in it is swept.
    ///
    /// # Errors
    ///
    /// When a sweep is written wrongly, a trial is not an experiment, or two are the same.
    pub fn trials(&self) -> Result<Trials, Faults> {
        self.trials_with(|_| Ok(()))
    }

    /// [`Document::trials`], where of mistakes all are told: also those of each trial that only `further` knows.
    ///
    /// # Errors
    ///
    /// Those of [`Document::trials`], and of `further` then.
    pub fn trials_with(
        &self,
        further: impl FnMut(&Document) -> Result<(), Faults>,
    ) -> Result<Trials, Faults> {
        Trials::of(self, further)
    }

    /// This experiment, which sweeps nothing, as the trial `name` of a sweep.
    #[must_use]
    pub fn as_trial(self, name: &str) -> Self {
        Self { trial: Some(name.to_owned()), ..self }
    }

    /// The name of the trial that this is; `None` of an experiment as written.
    pub fn trial(&self) -> Option<&str> {
        self.trial.as_deref()
    }

    /// Sets the string at `path`, as the argument `argument` of the command line asks.
    ///
    /// # Errors
    ///
    /// When the path leads through what has no fields.
    pub fn set_string(&mut self, path: &[&str], argument: &str, text: &str) -> Result<(), Faults> {
        let source = Source::new(argument, text);
        let span = Span::new(&source, 0, text.len());
        let path: Vec<_> =
            path.iter().map(|step| Name { text: (*step).to_owned(), span: span.clone() }).collect();
        overrides::set(&mut self.root, &path, Node::new(Value::String(text.to_owned()), span))
    }

    /// The tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The node at `path`.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        self.root.at(path)
    }

    /// The typed experiment. The model's `config` is still text: what it must be, the architecture knows.
    ///
    /// # Errors
    ///
    /// When what is written is not an experiment.
    pub fn experiment(&self) -> Result<Experiment, Faults> {
        self.experiment_with(Vec::new())
    }

    /// The typed experiment.
    ///
    /// # Errors
    ///
    /// When what is written is not an experiment, or when something else was `found`: all of that.
    pub(crate) fn experiment_with(&self, mut found: Vec<Fault>) -> Result<Experiment, Faults> {
        let Reading { value, faults } = read(&self.root);
        found.extend(faults);
        found.extend(schema::validate(self));
        Faults::check(found)?;
        value.ok_or_else(|| self.fault(&[], "this experiment cannot be read", None))
    }

    /// What can be read at `path`; `None` if nothing is written there.
    pub(crate) fn reading<T: DeserializeOwned>(&self, path: &[&str]) -> Option<Reading<T>> {
        self.at(path).map(read)
    }

    /// The value at `path`, if it is written and right.
    pub(crate) fn part<T: DeserializeOwned>(&self, path: &[&str]) -> Option<T> {
        let Reading { value, faults } = self.reading(path)?;
        value.filter(|_| faults.is_empty())
    }

    /// A fault of the value at `path`, or of the deepest node on the way there if it is not written.
    pub fn fault(&self, path: &[&str], message: impl Into<String>, help: Option<String>) -> Faults {
        let (node, whole) = self.deepest(path);
        let span = if whole { node.span.clone() } else { node.head() };
        with_help(Fault::new(span, message), help).into()
    }

    /// A fault of the key or field name that ends `path`, or of the deepest node on the way there.
    pub fn fault_at_key(&self, path: &[&str], message: impl Into<String>, help: Option<String>) -> Faults {
        let key = path.split_last().and_then(|(last, parents)| self.at(parents)?.key_span(last));
        match key {
            Some(span) => with_help(Fault::new(span.clone(), message), help).into(),
            None => self.fault(path, message, help),
        }
    }

    /// The fault of a key of the map at `path` that does not fit the model.
    pub fn key_fault(&self, path: &[&str], error: &KeyError) -> Faults {
        let path: Vec<&str> = path.iter().copied().chain([error.key()]).collect();
        self.fault_at_key(&path, error.to_string(), Some(error.help()))
    }

    fn deepest(&self, path: &[&str]) -> (&Node, bool) {
        let mut node = &self.root;
        for step in path {
            match node.child(step) {
                Some(child) => node = child,
                None => return (node, false),
            }
        }
        (node, true)
    }
}

fn with_help(fault: Fault, help: Option<String>) -> Fault {
    match help {
        Some(help) => fault.with_help(help),
        None => fault,
    }
}
