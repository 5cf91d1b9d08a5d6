//! What `vitslim ls` tells.

use std::path::{Path, PathBuf};

use comfy_table::CellAlignment;
use serde::{Serialize, Serializer};

use super::run_state::RunState;
use super::table::{fraction, lines, plain, push, trial_name};

/// What the path of a run leaves to what is told of it.
const NAME_WIDTH: usize = 40;

/// The runs below a folder.
#[derive(Clone, Debug, Serialize)]
pub struct Listing {
    /// The folder.
    #[serde(serialize_with = "as_shown")]
    pub folder: PathBuf,
    /// Its runs, in the order of their paths.
    pub runs: Vec<ListedRun>,
}

/// A run and how far it has come.
#[derive(Clone, Debug, Serialize)]
pub struct ListedRun {
    /// Its folder, as seen from the one that is listed.
    #[serde(serialize_with = "as_shown")]
    pub run: PathBuf,
    /// How far it has come.
    pub state: RunState,
    /// Where it is, if it is not complete: `search, epoch 3`.
    pub stage: Option<String>,
    /// Top-1 of its dense network, once it is complete.
    pub top1: Option<f64>,
    /// Number of its sub-networks, once it is complete.
    pub subnets: Option<usize>,
    /// Why it failed.
    pub failure: Option<String>,
}

/// A path as a terminal shows it, since JSON has none that are not UTF-8.
fn as_shown<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

impl Listing {
    /// A line a run, and below it why those that failed did; in at most 80 columns.
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
