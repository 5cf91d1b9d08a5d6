//! Which bracket closes which, and where one is missing.
//!
//! A missing bracket shows at the end of the file, or where another kind of bracket closes, far from the mistake. When
//! the brackets do not match, the indentation says where the mistake is: a line that is not indented deeper than the
//! line of an open bracket lies outside of it.

use std::sync::Arc;

use super::error::ExperimentError;
use super::lex::{Kind, Token};
use super::source::{Source, Span};

/// How deep brackets may be nested: deeper than any experiment needs, and too little to overflow the stack.
pub(super) const DEEPEST: usize = 64;

/// The index of the closing token for each opening one, and the mistake if they do not match.
pub(super) struct Pairs {
    pub(super) closes: Vec<usize>,
    pub(super) mistake: Option<Mistake>,
}

/// A missing bracket.
pub(super) struct Mistake {
    pub(super) error: ExperimentError,
    /// The first token that can no longer be trusted.
    pub(super) from: usize,
    /// Whether an earlier mistake may be the cause.
    pub(super) doubtful: bool,
}

/// Matches the brackets of `tokens`.
pub(super) fn pair(source: &Arc<Source>, tokens: &[Token]) -> Pairs {
    let mut matcher =
        Matcher { source, tokens, open: Vec::new(), closes: vec![tokens.len() - 1; tokens.len()] };
    let balanced = matcher.run(false).is_none();
    let mistake = if balanced { None } else { matcher.run(true) };
    Pairs { closes: matcher.closes, mistake }
}

struct Matcher<'a> {
    source: &'a Arc<Source>,
    tokens: &'a [Token],
    open: Vec<usize>,
    closes: Vec<usize>,
}

impl Matcher<'_> {
    fn run(&mut self, by_indentation: bool) -> Option<Mistake> {
        let end = self.tokens.len() - 1;
        self.open.clear();
        self.closes.fill(end);
        for (at, token) in self.tokens.iter().enumerate() {
            if by_indentation && let Some(opener) = self.left_open(at) {
                return Some(self.unclosed(opener, at));
            }
            match token.kind {
                Kind::Open(_) if self.open.len() == DEEPEST => return Some(self.too_deep(at)),
                Kind::Open(_) => self.open.push(at),
                Kind::Close(close) => match self.open.last() {
                    Some(&opener) if self.closing(opener) == close => {
                        self.closes[opener] = at;
                        self.open.pop();
                    }
                    Some(&opener) if self.open.iter().any(|&o| self.closing(o) == close) => {
                        return Some(self.unclosed(opener, at));
                    }
                    _ => return Some(self.unopened(close, at)),
                },
                _ => {}
            }
        }
        self.open.last().map(|&opener| self.unclosed(opener, end))
    }

    fn closing(&self, opener: usize) -> char {
        match self.tokens[opener].kind {
            Kind::Open('[') => ']',
            Kind::Open('{') => '}',
            _ => ')',
        }
    }

    /// The innermost open bracket, if the line that begins at `at` lies outside of it.
    fn left_open(&self, at: usize) -> Option<usize> {
        let token = &self.tokens[at];
        let opener = *self.open.last()?;
        // If a bracket ends its line and its content is not indented, indentation means nothing here.
        let flat =
            self.tokens[opener + 1].leads && self.tokens[opener + 1].indent <= self.tokens[opener].indent;
        let closed =
            token.kind == Kind::Close(self.closing(opener)) && token.indent == self.tokens[opener].indent;
        (token.leads && !flat && !closed && token.indent <= self.tokens[opener].indent).then_some(opener)
    }

    fn span(&self, token: usize) -> Span {
        Span::new(self.source, self.tokens[token].start, self.tokens[token].end)
    }

    fn unclosed(&self, opener: usize, at: usize) -> Mistake {
        let closing = self.closing(opener);
        let token = &self.tokens[at];
        // A bracket that opened on the previous line belonged at the end of it; so did one before a new item.
        let goes_on = matches!(token.kind, Kind::Comma | Kind::Close(_) | Kind::End);
        let line = |offset: usize| self.source.place(offset).0;
        let before = self.tokens[at - 1].end;
        let span = if token.leads && line(before) == line(self.tokens[opener].start) || !goes_on {
            Span::new(self.source, before, before)
        } else {
            self.span(at)
        };
        let found = match token.kind {
            _ if span.start < token.start => " here".to_owned(),
            Kind::Close(close) => format!(", found `{close}`"),
            Kind::End => ", found the end".to_owned(),
            _ => " here".to_owned(),
        };
        let opened = self.span(opener);
        let line = opened.place().0;
        Mistake {
            error: ExperimentError::new(
                span,
                format!("expected `{closing}`{found}: the `{}` of line {line} is not closed", opened.text()),
            )
            .with_label(format!("expected `{closing}`"))
            .with_also(opened, "opened here"),
            from: at,
            doubtful: false,
        }
    }

    fn unopened(&self, close: char, at: usize) -> Mistake {
        let opening = match close {
            ']' => '[',
            '}' => '{',
            _ => '(',
        };
        // The line above with the same indentation should have opened it.
        let above = (0..at)
            .rev()
            .find(|&i| self.tokens[i].leads && self.tokens[i].indent <= self.tokens[at].indent)
            .filter(|&i| self.tokens[at].leads && self.tokens[i].indent == self.tokens[at].indent)
            .and_then(|first| (first + 1..=at).find(|&i| self.tokens[i].leads))
            .filter(|&next| matches!(self.tokens[next - 1].kind, Kind::Colon | Kind::Ident));
        if let Some(next) = above {
            let end = self.tokens[next - 1].end;
            let line = self.span(at).place().0;
            let span = Span::new(self.source, end, end);
            return Mistake {
                error: ExperimentError::new(
                    span,
                    format!("expected `{opening}` here: nothing is open for the `{close}` of line {line}"),
                )
                .with_label(format!("expected `{opening}`"))
                .with_also(self.span(at), "closed here"),
                from: next,
                doubtful: false,
            };
        }
        Mistake {
            error: ExperimentError::new(
                self.span(at),
                format!("unexpected `{close}`: no `{opening}` is open here"),
            )
            .with_help(format!("remove it, or write the `{opening}` that it should close")),
            from: at,
            doubtful: true,
        }
    }

    fn too_deep(&self, at: usize) -> Mistake {
        Mistake {
            error: ExperimentError::new(
                self.span(at),
                format!("brackets are nested more than {DEEPEST} deep here"),
            ),
            from: at,
            doubtful: false,
        }
    }
}
