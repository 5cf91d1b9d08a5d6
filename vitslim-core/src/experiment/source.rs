//! Texts that experiments are read from, and places in them.

use std::fmt;
use std::sync::Arc;

use miette::{MietteError, MietteSpanContents, SourceCode, SourceSpan, SpanContents};

use crate::terminal::{is_unseen, printable};

/// The name of the source of a `--set` argument.
const ARGUMENT: &str = "--set";

/// A text and its name in reports: the path of a file, or `--set` for an argument of the command line.
#[derive(Debug, PartialEq, Eq)]
pub struct Source {
    name: String,
    text: String,
    /// The text in reports: byte for byte as long, but with `?` for what cannot be seen.
    shown: String,
}

impl Source {
    /// A source with this name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        let text = text.into();
        let show = |(at, c): (usize, char)| match c {
            '\t' => c.to_string(),
            '\r' if text[at..].starts_with("\r\n") => c.to_string(),
            unseen if is_unseen(unseen) => "?".repeat(unseen.len_utf8()),
            seen => seen.to_string(),
        };
        let shown = text.char_indices().map(show).collect();
        Arc::new(Self { name: name.into(), text, shown })
    }

    /// The source of a `--set` argument.
    pub fn argument(text: impl Into<String>) -> Arc<Self> {
        Self::new(ARGUMENT, text)
    }

    /// Its name in reports.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether it is a `--set` argument.
    pub fn is_argument(&self) -> bool {
        self.name == ARGUMENT
    }

    /// Line and column of a byte offset, both from 1, the column in characters.
    pub fn place(&self, offset: usize) -> (usize, usize) {
        let before = self.text.get(..offset).unwrap_or(&self.text);
        let line = before.matches('\n').count() + 1;
        let column = before.chars().rev().take_while(|&c| c != '\n').count() + 1;
        (line, column)
    }
}

impl SourceCode for Source {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let contents = self.shown.read_span(span, context_lines_before, context_lines_after)?;
        // `miette` counts the bytes of the line before the span, and a headline its characters.
        let column = match context_lines_before {
            0 => self.place(span.offset()).1 - 1,
            _ => contents.column(),
        };
        Ok(Box::new(MietteSpanContents::new_named(
            printable(&self.name).into_owned(),
            contents.data(),
            *contents.span(),
            contents.line(),
            column,
            contents.line_count(),
        )))
    }
}

/// A stretch of a source, in bytes.
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    /// The text it lies in.
    pub source: Arc<Source>,
    /// Offset of its first byte.
    pub start: usize,
    /// Offset behind its last byte.
    pub end: usize,
}

impl Span {
    /// The bytes `start..end` of `source`.
    pub fn new(source: &Arc<Source>, start: usize, end: usize) -> Self {
        Self { source: Arc::clone(source), start, end }
    }

    /// The text it covers.
    pub fn text(&self) -> &str {
        self.source.text.get(self.start..self.end).unwrap_or_default()
    }

    /// Line and column of its start, both from 1.
    pub fn place(&self) -> (usize, usize) {
        self.source.place(self.start)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (line, column) = self.place();
        write!(f, "{}:{line}:{column}", self.source.name)
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
