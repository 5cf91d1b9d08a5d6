//! Prints the result of a command to standard output.

use std::io::{ErrorKind, Write};

use miette::IntoDiagnostic;
use serde::Serialize;

use crate::terminal::{is_unseen, printable};

/// Prints `result` as JSON or as a table.
pub(super) fn print<T: Serialize>(
    as_json: bool,
    result: &T,
    table: impl Fn(&T) -> String,
) -> miette::Result<()> {
    match writeln!(std::io::stdout(), "{}", text(as_json, result, table)?) {
        // A reader that closed the pipe has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        printed => printed.into_diagnostic(),
    }
}

/// `result` as JSON or as a table, [`printable`].
pub(super) fn text<T: Serialize>(
    as_json: bool,
    result: &T,
    table: impl Fn(&T) -> String,
) -> miette::Result<String> {
    Ok(match as_json {
        true => escaped(&serde_json::to_string_pretty(result).into_diagnostic()?),
        false => printable(table(result).trim_end()).into_owned(),
    })
}

/// `json` with all that cannot be seen as JSON writes it, by its code in UTF-16. It only occurs in strings.
fn escaped(json: &str) -> String {
    let escape = |c: char| match is_unseen(c) {
        true => c.encode_utf16(&mut [0; 2]).iter().map(|unit| format!("\\u{unit:04x}")).collect(),
        false => c.to_string(),
    };
    json.chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_says_the_same_when_it_can_be_seen() {
        let value = "a\u{1b}[2J\u{9b}\u{202e}\u{e0041}\n學";
        let text = text(true, &[value], |_| String::new()).unwrap();
        assert!(!text.contains(|c: char| is_unseen(c)), "{text:?}");
        assert!(text.contains("\\u009b\\u202e\\udb40\\udc41\\n學"), "{text}");
        assert_eq!(serde_json::from_str::<[String; 1]>(&text).unwrap(), [value]);
    }
}
