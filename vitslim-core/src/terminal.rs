//! Lines for whoever watches.

use std::fmt::Display;
use std::io::Write;

/// Prints a line on standard error. One that is closed has nobody to tell: `eprintln!` would panic there.
pub(crate) fn say(line: impl Display) {
    let _ = writeln!(std::io::stderr(), "{line}");
}
