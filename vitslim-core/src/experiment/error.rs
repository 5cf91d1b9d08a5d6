//! What is wrong with an experiment, where, and what to do about it.

use std::fmt;
use std::sync::Arc;

use miette::{Diagnostic, LabeledSpan, SourceCode, SourceSpan};

use super::source::{Source, Span};

/// Bytes of a file that a report shows for a mistake. Longer lines are not shown: nobody reads them, and `miette` panics at column
/// 65536. The place is reported all the same.
const LONGEST_SHOWN: usize = 8_000;

/// Mistakes that a report shows. Its first line counts all of them.
const MOST_SHOWN: usize = 20;

/// One mistake in an experiment. Displayed, it reads `file.ron:12:9: message`.
#[derive(Clone, Debug)]
pub struct ExperimentError {
    message: String,
    span: Span,
    label: Option<String>,
    also: Option<Box<(Span, String)>>,
    help: Option<String>,
    missing: Option<&'static str>,
}

impl ExperimentError {
    /// A mistake at `span`. The message is a sentence in lower case without a full stop.
    pub fn new(span: Span, message: impl Into<String>) -> Self {
        Self { message: message.into(), span, label: None, also: None, help: None, missing: None }
    }

    /// Marks the mistake as the missing field `field`.
    #[must_use]
    pub(super) fn of_missing(mut self, field: &'static str) -> Self {
        self.missing = Some(field);
        self
    }

    /// The missing field, if the mistake is one.
    pub(crate) fn missing(&self) -> Option<&'static str> {
        self.missing
    }

    /// Whether `other` is the same mistake.
    pub(super) fn is_same(&self, other: &ExperimentError) -> bool {
        self.span == other.span && self.message == other.message
    }

    /// Writes `label` under the underlined place.
    #[must_use]
    pub fn with_label(mut self, label: impl Into<String>) -> Self {
        self.label = Some(label.into());
        self
    }

    /// Underlines a second place, if it lies in the same source.
    #[must_use]
    pub fn with_also(mut self, span: Span, label: impl Into<String>) -> Self {
        self.also = Some(Box::new((span, label.into())));
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Its place.
    pub fn span(&self) -> &Span {
        &self.span
    }

    /// The second place that is underlined.
    pub(super) fn other_place(&self) -> Option<&Span> {
        self.also.as_ref().map(|also| &also.0)
    }

    /// What to do, if the message does not say it.
    pub fn advice(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

fn range(span: &Span) -> SourceSpan {
    (span.start, span.end - span.start).into()
}

/// Whether the lines of `span` and the two around them are short enough.
fn can_be_shown(span: &Span) -> bool {
    let lines = span.source.read_span(&range(span), 1, 1);
    lines.is_ok_and(|lines| lines.data().len() <= LONGEST_SHOWN)
}

impl fmt::Display for ExperimentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.span, self.message)
    }
}

impl std::error::Error for ExperimentError {}

impl Diagnostic for ExperimentError {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        Some(&*self.span.source)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        let primary = LabeledSpan::new_primary_with_span(self.label.clone(), range(&self.span));
        let also = self
            .also
            .as_deref()
            .into_iter()
            .filter(|(span, _)| span.source == self.span.source && can_be_shown(span))
            .map(|(span, text)| LabeledSpan::new_with_span(Some(text.clone()), range(span)));
        can_be_shown(&self.span).then(|| Box::new(std::iter::once(primary).chain(also)) as _)
    }
}

/// The mistakes of an experiment: one or more, in the order in which they stand, file by file.
#[derive(Clone, Debug)]
pub struct ExperimentErrors(Vec<ExperimentError>);

impl ExperimentErrors {
    /// `Ok` if nothing was found.
    ///
    /// # Errors
    ///
    /// The errors of `found`, if there are any.
    pub fn check(found: impl IntoIterator<Item = ExperimentError>) -> Result<(), Self> {
        let errors = in_order(found);
        if errors.is_empty() { Ok(()) } else { Err(Self(errors)) }
    }

    /// The values of `results`, or all their mistakes, each once. It stops when a report is full.
    ///
    /// # Errors
    ///
    /// The mistakes of `results`, if there are any.
    pub(super) fn gather<T>(results: impl IntoIterator<Item = Result<T, Self>>) -> Result<Vec<T>, Self> {
        let mut values = Vec::new();
        let mut found: Vec<ExperimentError> = Vec::new();
        for result in results {
            match result {
                Ok(value) => values.push(value),
                Err(errors) => {
                    for error in errors {
                        if !found.iter().any(|known| known.is_same(&error)) {
                            found.push(error);
                        }
                    }
                }
            }
            if found.len() >= MOST_SHOWN {
                break;
            }
        }
        Self::check(found).map(|()| values)
    }

    /// These mistakes and `others`.
    #[must_use]
    pub(crate) fn and(self, others: impl IntoIterator<Item = ExperimentError>) -> Self {
        Self(in_order(self.into_iter().chain(others)))
    }

    /// Each mistake.
    pub fn iter(&self) -> std::slice::Iter<'_, ExperimentError> {
        self.0.iter()
    }

    /// The mistake that stands first.
    pub fn first(&self) -> &ExperimentError {
        &self.0[0]
    }
}

/// `errors` in the order of their places, those of one source together.
fn in_order(errors: impl IntoIterator<Item = ExperimentError>) -> Vec<ExperimentError> {
    let mut errors: Vec<ExperimentError> = errors.into_iter().collect();
    let mut sources: Vec<Arc<Source>> = Vec::new();
    let mut number = |source: &Arc<Source>| match sources.iter().position(|known| known == source) {
        Some(number) => number,
        None => {
            sources.push(Arc::clone(source));
            sources.len() - 1
        }
    };
    errors.sort_by_cached_key(|error| (number(&error.span.source), error.span.start));
    errors
}

impl IntoIterator for ExperimentErrors {
    type Item = ExperimentError;
    type IntoIter = std::vec::IntoIter<ExperimentError>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<'a> IntoIterator for &'a ExperimentErrors {
    type Item = &'a ExperimentError;
    type IntoIter = std::slice::Iter<'a, ExperimentError>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl From<ExperimentError> for ExperimentErrors {
    fn from(error: ExperimentError) -> Self {
        Self(vec![error])
    }
}

impl fmt::Display for ExperimentErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.first())?;
        match self.0.len() - 1 {
            0 => Ok(()),
            1 => f.write_str(" (and one more mistake)"),
            more => write!(f, " (and {more} more mistakes)"),
        }
    }
}

impl std::error::Error for ExperimentErrors {}

/// A report shows the first mistake as its own and the others as related to it, each with its source.
impl Diagnostic for ExperimentErrors {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.first().help()
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.first().source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.first().labels()
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        let others = self.0.get(1..MOST_SHOWN.min(self.0.len()))?;
        (!others.is_empty()).then(|| Box::new(others.iter().map(|error| error as &dyn Diagnostic)) as _)
    }
}
