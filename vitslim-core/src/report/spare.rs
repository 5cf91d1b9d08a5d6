//! The report of `vitslim gc`.

use std::path::{Path, PathBuf};

use comfy_table::CellAlignment;
use serde::Serialize;

use super::listing::as_shown;
use super::table::{lines, plain, push, short};

/// The files below a folder that no run needs any more.
#[derive(Clone, Debug, Serialize)]
pub struct Spare {
    /// The folder that was searched.
    #[serde(serialize_with = "as_shown")]
    pub folder: PathBuf,
    /// Folders with such files.
    pub spare: Vec<SpareFolder>,
    /// Whether they were removed.
    pub freed: bool,
}

/// Files in one folder that no run needs any more.
#[derive(Clone, Debug, Serialize)]
pub struct SpareFolder {
    /// The folder.
    #[serde(serialize_with = "as_shown")]
    pub path: PathBuf,
    /// The files.
    #[serde(skip)]
    pub files: Vec<PathBuf>,
    /// What removing them frees, in bytes. A file that others share is counted once.
    pub bytes: u64,
}

impl Spare {
    /// One line per folder, and the sum.
    pub fn table(&self) -> String {
        let below = |path: &Path| path.strip_prefix(&self.folder).unwrap_or(path).display().to_string();
        let mut table = plain();
        table.set_header(["folder", "files", "bytes"]);
        for spare in &self.spare {
            table.add_row([below(&spare.path), spare.files.len().to_string(), short(spare.bytes)]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let bytes = short(self.spare.iter().map(|spare| spare.bytes).sum());
        let mut text = String::new();
        if !self.spare.is_empty() {
            text = lines(&mut table) + "\n";
        }
        let told = match (self.spare.is_empty(), self.freed) {
            (true, _) => "no file is spare: every run needs all that it has".to_owned(),
            (false, true) => format!("{bytes} bytes freed"),
            (false, false) => format!("`--yes` frees {bytes} bytes; no run needs these files any more"),
        };
        push(&mut text, &told);
        text
    }
}
