//! The report of `vitslim ls`.

use std::path::{Path, PathBuf};

use comfy_table::CellAlignment;
use serde::{Serialize, Serializer};

use super::run_state::RunState;
use super::table::{fraction, lines, plain, push, trial_name};

/// Columns for the path of a run.
const NAME_WIDTH: usize = 40;

/// The runs below a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// The folder that was listed.
    #[serde(serialize_with = "as_shown")]
    pub folder: PathBuf,
    /// Its runs, in the order of their paths.
    pub runs: Vec<ListedRun>,
}

/// A run and its state.
#[derive(Clone, Debug, Serialize)]
pub struct ListedRun {
    /// Its folder, relative to the one that was listed.
    #[serde(serialize_with = "as_shown")]
    pub run: PathBuf,
    /// Its state.
    pub state: RunState,
    /// Where it is, unless it is complete: `search, epoch 3`.
    pub stage: Option<String>,
    /// Top-1 of the dense network, once complete.
    pub top1: Option<f64>,
    /// Number of sub-networks, once complete.
    pub subnets: Option<usize>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Writes a path as a terminal shows it, since JSON strings must be UTF-8.
pub(super) fn as_shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Listing {
    /// One line per run, and below it the reasons of failed runs, in at most 80 columns.
    pub fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["\nrun", "\nstate", "\nat", "dense\ntop-1", "sub-\nnetworks"]);
        for run in &self.runs {
            table.add_row([
                trial_name(&run.run.display().to_string(), NAME_WIDTH),
                run.state.name().to_owned(),
                run.stage.clone().unwrap_or_else(|| "-".to_owned()),
                fraction(run.top1),
                run.subnets.map_or_else(|| "-".to_owned(), |subnets| subnets.to_string()),
            ]);
        }
        for column in table.column_iter_mut().skip(3) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = lines(&mut table);
        let failed = self.runs.iter().filter_map(|run| Some((&run.run, run.failure.as_ref()?)));
        for (index, (run, failure)) in failed.enumerate() {
            if index == 0 {
                text.push('\n');
            }
            push(&mut text, &format!("{} failed: {failure}", run.display()));
        }
        text
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt;

    use super::*;

    #[test]
    fn a_folder_that_is_not_utf_8_is_listed_as_it_is_shown() {
        let folder = PathBuf::from(OsStr::from_bytes(b"runs/\xff"));
        let listing = Listing { folder, runs: Vec::new() };
        assert_eq!(serde_json::to_value(listing).unwrap()["folder"], "runs/\u{fffd}");
    }
}
