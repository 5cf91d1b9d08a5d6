//! Prints the result of a command to standard output.

use std::io::{ErrorKind, Write};

use miette::IntoDiagnostic;
use serde::Serialize;

use crate::terminal::printable;

/// Prints `result` as JSON or as a table.
pub(super) fn print<T: Serialize>(
    as_json: bool,
    result: &T,
    table: impl Fn(&T) -> String,
) -> miette::Result<()> {
    let text = match as_json {
        true => serde_json::to_string_pretty(result).into_diagnostic()?,
        false => printable(table(result).trim_end()).into_owned(),
    };
    match writeln!(std::io::stdout(), "{text}") {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.into_diagnostic(),
    }
}
