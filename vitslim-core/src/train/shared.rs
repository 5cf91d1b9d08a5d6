//! Stages that trials of a sweep have in common. The first trial that needs one trains it, others that need it meanwhile wait,
//! and later ones copy its checkpoints and record as if they had trained it themselves.
//!
//! The folder of a shared stage has its checkpoints, and `metrics.jsonl`, which is written last; or, if training diverged, with which
//! version and why.

use std::fs::{File, TryLockError};
use std::io::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::TrainError;
use super::dependents::{check_none_lost, forget_dependents};
use super::record::{RECORD, write_stage_events};
use super::resume::{StageFiles, checkpoint_folder, has_checkpoint};
use super::stage::StageRun;
use crate::data::Stage;
use crate::terminal::say;
use crate::whole_file::{make_folder, remove, sync_folder, write_whole};

/// File beside the checkpoints of a stage that names it, by all that its numbers depend on.
pub(crate) const IDENTITY: &str = "identity";

/// File of a shared stage that says how its training diverged, as it will again.
const DIVERGED: &str = "diverged.txt";

/// Its first line: the version of the program that found it out.
const VERSION: &str = concat!("vitslim ", env!("CARGO_PKG_VERSION"));

/// Time between two checks of a stage that another trial trains.
const WAIT: Duration = Duration::from_millis(100);

/// The right to train a shared stage, held until this is dropped or its process ends.
#[derive(Debug)]
pub(super) struct Claim {
    folder: PathBuf,
    _lock: File,
}

/// Names the stage of `run`. Copies it from another trial that has trained it, and waits for one that is training it. If there is
/// neither, this trial has to train the stage and gets the claim. `None` if nothing is shared, or nothing is left to train.
///
/// # Errors
///
/// When it is interrupted while it waits, or a file cannot be read or written.
pub(super) fn import_or_claim(run: &StageRun, files: &StageFiles) -> Result<Option<Claim>, TrainError> {
    let unnamed = |source| TrainError::File { path: files.checkpoints.folder().to_owned(), source };
    name(run, files).map_err(unnamed)?;
    let Some(folder) = &run.shared else { return Ok(None) };
    let claim = claim(run, folder)?;
    let shared = StageFiles::of_shared(folder, run.stage, run.training);
    // A damaged stage is trained again and replaced.
    if !shared.is_whole(run.training) {
        let file = folder.join(DIVERGED);
        // Another version may fare better.
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let what = text.strip_prefix(VERSION).and_then(|text| text.strip_prefix('\n'));
        if let Some(what) = what.filter(|_| !files.is_whole(run.training)) {
            return Err(TrainError::Remembered { what: what.to_owned(), file });
        }
        return Ok(Some(claim));
    }
    if !files.is_whole(run.training) {
        import(run, folder, files)?;
        write_stage_events(run.folder, &files.record)?;
        if !run.quiet {
            say(format_args!("{}: copied from another trial", run.title()));
        }
    }
    Ok(None)
}

/// Names the checkpoints that the stage is about to make. Those that were begun under another name and go on under this one are
/// neither, and have none.
fn name(run: &StageRun, files: &StageFiles) -> Result<(), Error> {
    let folder = files.checkpoints.folder();
    if files.checkpoints.epochs().is_empty() {
        return write_whole(&folder.join(IDENTITY), run.identity.as_bytes());
    }
    let is_other = shared_stage(folder).is_some_and(|name| name != run.identity);
    if is_other && !files.is_whole(run.training) { remove(&folder.join(IDENTITY)) } else { Ok(()) }
}

/// Whether the checkpoints of a stage in the folder `run`, if it has any, go by this `name`.
pub(crate) fn is_named(run: &Path, stage: Stage, subnet: Option<&str>, name: &str) -> bool {
    let there = shared_stage(&run.join(checkpoint_folder(stage, subnet)));
    !has_checkpoint(run, stage, subnet) || there.as_deref() == Some(name)
}

/// Removes the stage.
fn forget(files: &StageFiles) -> Result<(), Error> {
    files.record.cut_back(0)?;
    let Ok(entries) = std::fs::read_dir(files.checkpoints.folder()) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_file() && path.file_name().is_some_and(|name| name != IDENTITY) {
            remove(&path)?;
        }
    }
    Ok(())
}

/// The name of the stage that the checkpoints in `folder` are of, or will be: that of the shared stage, if it is shared.
pub(crate) fn shared_stage(folder: &Path) -> Option<String> {
    std::fs::read_to_string(folder.join(IDENTITY)).ok()
}

fn claim(run: &StageRun, folder: &Path) -> Result<Claim, TrainError> {
    let failed = |source: Error| TrainError::File { path: folder.to_owned(), source };
    make_folder(folder).map_err(failed)?;
    let mut options = File::options();
    let lock = options.write(true).create(true).truncate(false).open(folder.join("lock")).map_err(failed)?;
    let mut told = run.quiet;
    loop {
        match lock.try_lock() {
            Ok(()) => return Ok(Claim { folder: folder.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => {}
            Err(TryLockError::Error(source)) => return Err(failed(source)),
        }
        if run.interrupter.should_stop() {
            return Err(TrainError::Interrupted { stage: run.stage.name(), epoch: 1 });
        }
        if !std::mem::replace(&mut told, true) {
            say(format_args!("{}: another trial is training it; waiting", run.title()));
        }
        std::thread::sleep(WAIT);
    }
}

/// Copies the shared stage in `folder`. If only checkpoints of it were lost, everything made from it stays.
fn import(run: &StageRun, folder: &Path, files: &StageFiles) -> Result<(), TrainError> {
    let StageFiles { record, checkpoints } = files;
    let failed = |source| TrainError::File { path: folder.to_owned(), source };
    let shared = folder.join(RECORD);
    let link = || link_checkpoints(folder, checkpoints.folder());
    if record.repeats(&shared).map_err(failed)? {
        return link().map_err(failed);
    }
    let epochs = record.epochs().map_err(|error| record.error(error))?;
    check_none_lost(run, files.flawed(&epochs, run.training), 0)?;
    forget_dependents(run)?;
    // A record without checkpoints is imported again, checkpoints without a record are lost ones.
    forget(files).and_then(|()| record.adopt(&shared)).and_then(|()| link()).map_err(failed)
}

impl Claim {
    /// Publishes the complete stage for the other trials.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(super) fn publish(self, files: &StageFiles) -> Result<(), TrainError> {
        let publish = || {
            link_checkpoints(files.checkpoints.folder(), &self.folder)?;
            write_whole(&self.folder.join(RECORD), files.record.detached()?.as_bytes())
        };
        publish().map_err(|source| TrainError::File { path: self.folder.clone(), source })
    }

    /// Remembers that the stage failed with `error`, if it would again: with the same settings and data it diverges for every
    /// trial.
    pub(super) fn remember(&self, error: &TrainError) {
        if let TrainError::Diverged { .. } = error {
            // If it cannot be written, the next trial finds it out anew.
            let _ = write_whole(&self.folder.join(DIVERGED), format!("{VERSION}\n{error}").as_bytes());
        }
    }
}

/// Links or copies the checkpoints in `from` into `to`. A link is enough, since checkpoints are never modified.
fn link_checkpoints(from: &Path, to: &Path) -> Result<(), Error> {
    make_folder(to)?;
    for entry in std::fs::read_dir(from)? {
        let file = entry?.path();
        let Some(name) = file.file_name().filter(|_| file.extension().is_some_and(|end| end == "ckpt"))
        else {
            continue;
        };
        let target = to.join(name);
        remove(&target)?;
        // Not every file system has links.
        if std::fs::hard_link(&file, &target).is_err() {
            write_whole(&target, &std::fs::read(&file)?)?;
        }
    }
    // A record relies on them.
    sync_folder(to)
}
