//! Lines on the terminal.

use std::fmt::Display;
use std::io::Write;

/// `text` on one line.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Prints a line on standard error. Unlike `eprintln!`, does not panic if that is closed.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// `value` as people write it: a schedule computes 4.755282581475768e-4.
pub(crate) fn three_digits(value: f64) -> f64 {
    format!("{value:.2e}").parse().unwrap_or(value)
}
