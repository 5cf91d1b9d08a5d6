//! Lines on the terminal.

use std::borrow::Cow;
use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use indicatif::ProgressBar;

/// The line that is redrawn at present.
static REDRAWN: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// `text` on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `count` things, called `one` or `many`.
pub(crate) fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// `text` with all that cannot be seen as code points, `\u{1b}`, but for line breaks. What comes from outside, such as the name of
/// a file, could otherwise steer the terminal, or look like something else.
pub(crate) fn printable(text: &str) -> Cow<'_, str> {
    if !text.contains(is_unseen) {
        return Cow::Borrowed(text);
    }
    let seen = |c: char| if is_unseen(c) { c.escape_default().to_string() } else { c.to_string() };
    Cow::Owned(text.chars().map(seen).collect())
}

/// Whether `c` steers the terminal, or does not show: a control character, or one that Unicode calls default ignorable.
pub(crate) fn is_unseen(c: char) -> bool {
    let ignorable = matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}'
        | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
        | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}' | '\u{fff0}'..='\u{fff8}'
        | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e0fff}');
    ignorable || c.is_control() && c != '\n'
}

/// Sets the line that is redrawn from now on, or that there is none: other lines are printed above it, and not over it.
pub(crate) fn redraw(line: Option<ProgressBar>) {
    *REDRAWN.lock().unwrap_or_else(PoisonError::into_inner) = line;
}

/// Prints a [`printable`] line on standard error. Unlike `eprintln!`, does not panic if that is closed.
pub(crate) fn say(line: impl Display) {
    show(printable(&line.to_string()));
}

/// Prints a line on standard error as it is, colours included.
pub(crate) fn show(line: impl Display) {
    let print = || drop(writeln!(std::io::stderr(), "{line}"));
    let redrawn = REDRAWN.lock().unwrap_or_else(PoisonError::into_inner).clone();
    match redrawn {
        Some(redrawn) => redrawn.suspend(print),
        None => print(),
    }
}

/// A time in three digits: `2.91 ms`.
pub(crate) fn time(seconds: f64) -> String {
    let (value, unit) = match three_digits(seconds) {
        seconds @ 1.0.. => (seconds, "s"),
        seconds @ 1e-3.. => (1e3 * seconds, "ms"),
        seconds => (1e6 * seconds, "us"),
    };
    format!("{} {unit}", three_digits(value))
}

/// Bytes in three digits: `1.53 GB`.
pub(crate) fn gigabytes(bytes: u64) -> String {
    match bytes as f64 {
        bytes @ 1e9.. => format!("{} GB", three_digits(bytes / 1e9)),
        bytes => format!("{} MB", three_digits(bytes / 1e6)),
    }
}

/// `value` as people write it: a schedule computes 4.755282581475768e-4.
pub(crate) fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_told_in_three_digits() {
        let told = |value| format!("{:e}", three_digits(value));
        assert_eq!(told(4.755_282_581_475_768e-4), "4.76e-4");
        assert_eq!((told(1e9), told(0.0)), ("1e9".to_owned(), "0e0".to_owned()));
        let times = [0.002_912_3, 0.000_999_99, 12.345, 3.4e-8].map(time);
        assert_eq!(times, ["2.91 ms", "1 ms", "12.3 s", "0.034 us"]);
        let told = [1_534_000_000, 41_990_000, 120_000].map(gigabytes);
        assert_eq!(told, ["1.53 GB", "42 MB", "0.12 MB"]);
    }

    #[test]
    fn what_cannot_be_seen_is_shown_as_code_points() {
        assert!(matches!(printable("épochs 学习 a\nb"), Cow::Borrowed(_)));
        let told = printable("a\u{1b}[2J\r\t\u{7}\u{9b}\u{202e}b\u{200b}\u{e0041}");
        assert_eq!(told, "a\\u{1b}[2J\\r\\t\\u{7}\\u{9b}\\u{202e}b\\u{200b}\\u{e0041}");
    }
}
