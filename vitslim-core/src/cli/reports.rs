//! How errors are printed.

use std::error::Error;
use std::fmt;

use miette::{Diagnostic, LabeledSpan, MietteHandler, MietteHandlerOpts, ReportHandler, SourceCode};
use textwrap::{WordSeparator, WordSplitter};

use crate::terminal::printable;

/// Prints reports whose texts are [`printable`], with lines that break at spaces only, so that a path or a command can be copied.
pub(super) fn prepare() {
    let handler = || {
        MietteHandlerOpts::new()
            .break_words(false)
            .word_separator(WordSeparator::AsciiSpace)
            .word_splitter(WordSplitter::NoHyphenation)
            .build()
    };
    // This fails if the program has already chosen how to print reports; its choice stays.
    let _ = miette::set_hook(Box::new(move |_| Box::new(PrintableReports(handler()))));
}

struct PrintableReports(MietteHandler);

impl ReportHandler for PrintableReports {
    fn debug(&self, error: &dyn Diagnostic, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.debug(&Printable::new(error), f)
    }
}

/// An error whose texts are printable. The text that it points into is left to its source.
#[derive(Debug)]
struct Printable<'a> {
    error: &'a dyn Diagnostic,
    message: String,
    help: Option<String>,
    labels: Vec<LabeledSpan>,
    cause: Option<Cause>,
    related: Vec<Printable<'a>>,
}

impl<'a> Printable<'a> {
    fn new(error: &'a dyn Diagnostic) -> Self {
        let label = |label: LabeledSpan| {
            let text = label.label().map(|text| printable(text).into_owned());
            match label.primary() {
                true => LabeledSpan::new_primary_with_span(text, *label.inner()),
                false => LabeledSpan::new_with_span(text, *label.inner()),
            }
        };
        let source = error.diagnostic_source().map(|source| Cause::new(source));
        Self {
            error,
            message: printable(&error.to_string()).into_owned(),
            help: error.help().map(|help| printable(&help.to_string()).into_owned()),
            labels: error.labels().into_iter().flatten().map(label).collect(),
            cause: source.or_else(|| error.source().map(Cause::new)),
            related: error.related().into_iter().flatten().map(Printable::new).collect(),
        }
    }
}

impl fmt::Display for Printable<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Printable<'_> {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.cause.as_ref().map(|cause| cause as _)
    }
}

impl Diagnostic for Printable<'_> {
    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        self.help.as_ref().map(|help| Box::new(help) as _)
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.error.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        (!self.labels.is_empty()).then(|| Box::new(self.labels.iter().cloned()) as _)
    }

    fn related<'a>(&'a self) -> Option<Box<dyn Iterator<Item = &'a dyn Diagnostic> + 'a>> {
        (!self.related.is_empty())
            .then(|| Box::new(self.related.iter().map(|error| error as &dyn Diagnostic)) as _)
    }
}

/// A printable error that is the cause of another.
#[derive(Debug)]
struct Cause(String, Option<Box<Cause>>);

impl Cause {
    fn new(error: &(dyn Error + '_)) -> Self {
        let cause = error.source().map(|cause| Box::new(Self::new(cause)));
        Self(printable(&error.to_string()).into_owned(), cause)
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Cause {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.1.as_ref().map(|cause| cause as _)
    }
}
