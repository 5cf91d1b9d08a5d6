//! `base: "common.ron"`: a file that starts from another, and says what differs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use miette::Diagnostic;

use super::error::{ExperimentError, ExperimentErrors};
use super::parse::parse;
use super::source::{Source, Span};
use super::sweep;
use super::text::{TextError, read_text};
use super::tree::{Node, Value, overlay};

/// The field that names the files to start from.
pub(super) const BASE: &str = "base";

const FORM: &str = "`base` is written `\"common.ron\"`, or `[\"a.ron\", \"b.ron\"]`, of which the later overrides the earlier";

/// Reads the experiment that `source` holds, the file at `path`, and lays it over the files that it starts from.
///
/// # Errors
///
/// The mistakes in the text of either, and files that cannot be read or start from themselves.
pub(super) fn read(source: &Arc<Source>, path: &Path) -> Result<Option<Node>, ExperimentErrors> {
    Reader { open: vec![real(path)], read: HashMap::new() }.read(source, path)
}

struct Reader {
    /// The files on the way from the first one to the present one.
    open: Vec<PathBuf>,
    /// The files that were read before.
    read: HashMap<PathBuf, Result<Node, ExperimentErrors>>,
}

impl Reader {
    fn read(&mut self, source: &Arc<Source>, path: &Path) -> Result<Option<Node>, ExperimentErrors> {
        let Some(mut node) = parse(source, 0)? else { return Ok(None) };
        let Some(base) = take_base(&mut node) else { return Ok(Some(node)) };
        let folder = path.parent().unwrap_or(Path::new(""));
        let below = ExperimentErrors::gather(paths(&base).map(|path| {
            let (path, named_at) = path?;
            self.file(&folder.join(path), named_at)
        }))?;
        Ok(below.into_iter().chain([node]).reduce(overlay))
    }

    fn file(&mut self, path: &Path, named_at: &Span) -> Result<Node, ExperimentErrors> {
        let refused =
            |message: String| ExperimentErrors::from(ExperimentError::new(named_at.clone(), message));
        let shown = path.display();
        let real = real(path);
        if self.open.contains(&real) {
            return Err(refused(format!("`{shown}` starts from itself, through this")));
        }
        if let Some(known) = self.read.get(&real) {
            return known.clone();
        }
        self.open.push(real.clone());
        let read = self.read_file(path, named_at);
        self.open.pop();
        self.read.insert(real, read.clone());
        read
    }

    fn read_file(&mut self, path: &Path, named_at: &Span) -> Result<Node, ExperimentErrors> {
        let refused =
            |message: String| ExperimentErrors::from(ExperimentError::new(named_at.clone(), message));
        let shown = path.display();
        let text = read_text(path).map_err(|wrong| {
            let error = ExperimentError::new(named_at.clone(), format!("`{shown}` {wrong}"));
            match (&wrong, wrong.help()) {
                (TextError::Missing, _) => {
                    error.with_help("a path is relative to the file that it stands in")
                }
                (_, Some(help)) => error.with_help(help.to_string()),
                (_, None) => error,
            }
        })?;
        let source = Source::new(shown.to_string(), text);
        let node = self
            .read(&source, path)?
            .ok_or_else(|| refused(format!("`{shown}` is empty, expected `Experiment(...)`")))?;
        match node.value {
            Value::Record { .. } => Ok(node),
            _ => Err(ExperimentError::new(
                node.head(),
                format!("expected `Experiment(...)`, found {}", node.describe()),
            )
            .into()),
        }
    }
}

/// The same path for all spellings of it.
fn real(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn take_base(node: &mut Node) -> Option<Node> {
    let Value::Record { fields, .. } = &mut node.value else { return None };
    let index = fields.iter().position(|(name, _)| name.text == BASE)?;
    Some(fields.remove(index).1)
}

/// The paths that `base` names, and where.
fn paths(base: &Node) -> impl Iterator<Item = Result<(&str, &Span), ExperimentError>> {
    let base = base.present();
    let nodes = match &base.value {
        Value::None => &[],
        Value::List(nodes) => nodes.as_slice(),
        _ => std::slice::from_ref(base),
    };
    nodes.iter().map(path)
}

fn path(node: &Node) -> Result<(&str, &Span), ExperimentError> {
    let wrong = |message: String| ExperimentError::new(node.head(), message).with_help(FORM);
    match &node.value {
        Value::String(path) if path.is_empty() => {
            Err(wrong("the path of a file to start from is empty".to_owned()))
        }
        Value::String(path) => Ok((path, &node.span)),
        _ if sweep::is_sweep(node) => Err(ExperimentError::new(node.head(), "`base` cannot be swept")
            .with_help("sweep the values in it, or write a file for each")),
        _ => Err(wrong(format!("expected the path of a file to start from, found {}", node.describe()))),
    }
}
