//! Lists the runs in a folder.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use walkdir::WalkDir;

use super::folder::EXPERIMENT;
use super::sharing::SHARED;
use super::state::{failure, summary};
use crate::report::{ListedRun, RunState};

/// Levels of folders to search: those of experiments, and some around them.
const DEPTH: usize = 5;

/// The runs in `folder`, in the order of their paths, including trials of a sweep that have not started.
pub fn runs(folder: &Path) -> Vec<ListedRun> {
    run_folders(folder).into_iter().map(|path| listed(folder, &path)).collect()
}

/// Their folders.
pub(super) fn run_folders(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = Vec::new();
    let mut walk = WalkDir::new(folder).max_depth(DEPTH).sort_by_file_name().into_iter();
    while let Some(entry) = walk.next() {
        // A folder that cannot be read is not listed.
        let Ok(entry) = entry else { continue };
        if !entry.file_type().is_dir() {
            continue;
        }
        let is_run = entry.path().join(EXPERIMENT).is_file();
        if is_run {
            found.push(entry.path().to_owned());
        }
        if is_run || entry.file_name() == SHARED {
            walk.skip_current_dir();
        }
        found.extend(waiting(entry.path()));
    }
    found.sort();
    found.dedup();
    found
}

#[derive(Deserialize)]
struct Sweep {
    trials: Vec<Trial>,
}

#[derive(Deserialize)]
struct Trial {
    trial: String,
}

/// Folders of the trials, if `folder` is that of a sweep.
fn waiting(folder: &Path) -> Vec<PathBuf> {
    let text = std::fs::read_to_string(folder.join("sweep.json")).unwrap_or_default();
    let sweep = serde_json::from_str(&text).unwrap_or(Sweep { trials: Vec::new() });
    let is_name = |name: &&String| Path::new(name).file_name().is_some_and(|file| file == name.as_str());
    sweep.trials.iter().map(|trial| &trial.trial).filter(is_name).map(|name| folder.join(name)).collect()
}

/// The run in the folder `path`, which lies in `folder`.
pub(super) fn listed(folder: &Path, path: &Path) -> ListedRun {
    let state = RunState::of(path);
    let summary = summary(path);
    ListedRun {
        run: match path.strip_prefix(folder) {
            Ok(below) if below.as_os_str().is_empty() => ".".into(),
            Ok(below) => below.to_owned(),
            Err(_) => path.to_owned(),
        },
        state,
        stage: stage(path).filter(|_| summary.is_none()),
        top1: summary.as_ref().map(|summary| summary.dense.top1),
        subnets: summary.as_ref().map(|summary| summary.subnets.len()),
        failure: failure(path).filter(|_| state == RunState::Failed),
    }
}

#[derive(Deserialize)]
struct Line {
    stage: String,
    subnet: Option<String>,
    epoch: usize,
}

/// The progress of a run, from the last complete line of its record: `search, epoch 3`.
fn stage(run: &Path) -> Option<String> {
    let text = std::fs::read_to_string(run.join("metrics.jsonl")).ok()?;
    let Line { stage, subnet, epoch } =
        text.lines().rev().find_map(|line| serde_json::from_str(line).ok())?;
    let subnet = subnet.map_or_else(String::new, |subnet| format!(" {subnet}"));
    Some(format!("{stage}{subnet}, epoch {epoch}"))
}
