//! Lines for whoever watches.

use std::fmt::Display;
use std::io::Write;

/// `text` on one line, for a message that has others around it.
pub(crate) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Prints a line on standard error. One that is closed has nobody to tell: `eprintln!` would panic there.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
