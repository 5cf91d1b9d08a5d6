//! Leaves the page of a run or of a sweep in its folder. Without a page, the results are the same: that is a note.

use std::path::Path;

use miette::Diagnostic;

use crate::page::{PageError, run_page, sweep_page};
use crate::run::{REPORT, RunFolder};
use crate::terminal::say;
use crate::whole_file::write_whole;

/// Leaves the page of the run in `folder`.
pub(super) fn leave_run_page(folder: &RunFolder) {
    note(
        run_page(folder.path())
            .map_err(told)
            .and_then(|html| folder.write(REPORT, html.as_bytes()).map_err(|error| error.to_string())),
    );
}

/// Leaves the page of the sweep in `folder`.
pub(super) fn leave_sweep_page(folder: &Path) {
    note(sweep_page(folder).map_err(told).and_then(|html| {
        write_whole(&folder.join(REPORT), html.as_bytes()).map_err(|error| error.to_string())
    }));
}

fn told(error: PageError) -> String {
    match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    }
}

fn note(left: Result<(), String>) {
    if let Err(reason) = left {
        say(format_args!("note: there is no {REPORT}: {reason}"));
    }
}
