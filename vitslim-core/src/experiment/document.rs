//! A file, the files that it starts from and its `--set` arguments, put together in one tree.

use std::path::{Path, PathBuf};

use miette::Diagnostic;
use serde::de::DeserializeOwned;
use thiserror::Error;

use super::base;
use super::de::typed;
use super::error::{ExperimentError, ExperimentErrors};
use super::overrides::{self, Override};
use super::parse::parse;
use super::source::{Source, Span};
use super::text::{TextError, read_text, without_mark};
use super::tree::{Name, Node, Value};

/// Why a file could not be read as an experiment.
#[derive(Debug, Error, Diagnostic)]
pub enum LoadError {
    /// The file has no text.
    #[error("`{}` {error}", .path.display())]
    Text {
        /// The file.
        path: PathBuf,
        /// Why not.
        error: TextError,
        /// What to do about it.
        #[help]
        help: Option<String>,
    },
    /// What is written cannot be read as an experiment.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Experiment(#[from] ExperimentErrors),
}

/// An experiment as written, put together from its file, the files that it starts from and the `--set` arguments; or one trial of it.
#[derive(Clone, Debug)]
pub struct Document {
    root: Node,
}

impl Document {
    /// Reads the file at `path` and applies the `--set` arguments, the last one winning.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or is not RON, or an argument does not fit it.
    pub fn read(path: &Path, sets: &[String]) -> Result<Self, LoadError> {
        let text = read_text(path).map_err(|error| LoadError::Text {
            path: path.to_owned(),
            help: error.help().map(|help| help.to_string()),
            error,
        })?;
        Ok(Self::of_file(path, &path.display().to_string(), &text, sets)?)
    }

    /// Reads `text`, which is that of the file `name`, and applies the `--set` arguments, the last one winning.
    ///
    /// # Errors
    ///
    /// When the text is not RON, or an argument does not fit it, or a file that it starts from cannot be read.
    pub fn parse(name: &str, text: &str, sets: &[String]) -> Result<Self, ExperimentErrors> {
        Self::of_file(Path::new(name), name, text, sets)
    }

    fn of_file(path: &Path, name: &str, text: &str, sets: &[String]) -> Result<Self, ExperimentErrors> {
        let source = Source::new(name, without_mark(text));
        let Some(mut root) = base::read(&source, path)? else {
            let end = Span::new(&source, source.text().len(), source.text().len());
            return Err(ExperimentError::new(end, "expected `Experiment(...)`, found nothing").into());
        };
        let arguments = ExperimentErrors::gather(sets.iter().map(|argument| Override::read(argument)))?;
        // What an argument may set depends on those before it: only the first mistake is sure.
        arguments.into_iter().try_for_each(|argument| argument.apply(&mut root))?;
        Ok(Self { root })
    }

    /// The document with the tree `root`.
    pub(super) fn of_tree(root: Node) -> Self {
        Self { root }
    }

    /// Sets the string at `path`, as the argument `argument` of the command line asks.
    ///
    /// # Errors
    ///
    /// When the path leads through what has no fields.
    pub fn set_string(&mut self, path: &[&str], argument: &str, text: &str) -> Result<(), ExperimentErrors> {
        let source = Source::new(argument, text);
        let span = Span::new(&source, 0, text.len());
        let path: Vec<_> =
            path.iter().map(|step| Name { text: (*step).to_owned(), span: span.clone() }).collect();
        overrides::set(&mut self.root, &path, Node::new(Value::String(text.to_owned()), span))
    }

    /// The same with the budgets that `arguments` of the command line write, each as a file does, in place of its own.
    ///
    /// # Errors
    ///
    /// When one is not RON.
    pub fn with_budgets(mut self, arguments: &[String]) -> Result<Self, ExperimentErrors> {
        let read = |argument: &String| {
            let source = Source::new("--budget", argument.as_str());
            parse(&source, 0)?.ok_or_else(|| {
                let error =
                    ExperimentError::new(Span::new(&source, 0, argument.len()), "there is no budget here");
                error.with_help("write one as a file does, for example `--budget 'Macs(0.4)'`").into()
            })
        };
        let budgets = ExperimentErrors::gather(arguments.iter().map(read))?;
        let source = Source::new("--budget", arguments.join(", "));
        let span = Span::new(&source, 0, source.text().len());
        let path = [Name { text: "budgets".to_owned(), span: span.clone() }];
        overrides::set(&mut self.root, &path, Node::new(Value::List(budgets), span))?;
        Ok(self)
    }

    /// The teacher of `stage`, as the model of a document by itself: its places are those in this one. `None` where there is none.
    pub(crate) fn of_teacher(&self, stage: &str) -> Option<Self> {
        let teacher = self.at(&[stage, "teacher"])?.clone();
        let (name, span) = (Name { text: "model".to_owned(), span: teacher.head() }, teacher.span.clone());
        let value = Value::Record { name: None, fields: vec![(name, teacher)] };
        Some(Self::of_tree(Node::new(value, span)))
    }

    /// The tree.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// The node at `path`.
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        self.root.at(path)
    }

    /// The value at `path`, if it is written and nothing is wrong with it.
    pub(super) fn part<T: DeserializeOwned>(&self, path: &[&str]) -> Option<T> {
        typed(self.at(path)?).ok()
    }

    /// A mistake in the value at `path`, or in the deepest node on the way there if it is not written.
    pub fn error(&self, path: &[&str], message: impl Into<String>, help: Option<String>) -> ExperimentErrors {
        let (node, whole) = self.deepest(path);
        let span = if whole { node.span.clone() } else { node.head() };
        with_help(ExperimentError::new(span, message), help).into()
    }

    /// A mistake in the key or field name that ends `path`, or in the deepest node on the way there.
    pub fn error_at_key(
        &self,
        path: &[&str],
        message: impl Into<String>,
        help: Option<String>,
    ) -> ExperimentErrors {
        let key = path.split_last().and_then(|(last, parents)| self.at(parents)?.key_span(last));
        match key {
            Some(span) => with_help(ExperimentError::new(span.clone(), message), help).into(),
            None => self.error(path, message, help),
        }
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

fn with_help(error: ExperimentError, help: Option<String>) -> ExperimentError {
    match help {
        Some(help) => error.with_help(help),
        None => error,
    }
}
