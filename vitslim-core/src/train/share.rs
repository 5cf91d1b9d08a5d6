//! Stages that trials of a sweep have in common. The trial that comes first trains it, those that come meanwhile wait, and all
//! others take it over: checkpoints and record, as if they had trained it themselves.
//!
//! The folder of a shared stage has its checkpoints, and `metrics.jsonl`, which is written last.

use std::fs::{File, TryLockError};
use std::io::Error;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::TrainError;
use super::checkpoint::Checkpoints;
use super::ending::{Chosen, is_complete};
use super::events::write_stage_events;
use super::record::{RECORD, StageRecord};
use super::stage::StageRun;
use super::take_up::has_all;
use crate::terminal::say;
use crate::whole_file::{remove, write_whole};

/// File beside the checkpoints of a trial, which says of which shared stage they are.
const IDENTITY: &str = "identity";

/// Time between two looks at a stage that another trial trains.
const WAIT: Duration = Duration::from_millis(100);

/// The right to train a shared stage, until this is dropped or its process ends.
#[derive(Debug)]
pub(super) struct Claim {
    folder: PathBuf,
    _lock: File,
}

/// Takes the stage of `run` over from another trial, if one has trained it; waits for one that does. Else this trial has to train
/// it, and has the right to. `None` if nothing is shared, or nothing is to be trained.
///
/// # Errors
///
/// When it is interrupted while it waits, or files cannot be read or written.
pub(super) fn take_over(
    run: &StageRun,
    record: &StageRecord,
    checkpoints: &Checkpoints,
) -> Result<Option<Claim>, TrainError> {
    let Some(folder) = &run.shared else { return Ok(None) };
    let failed = |source| TrainError::File { path: folder.clone(), source };
    forget_another(run, folder, record, checkpoints).map_err(failed)?;
    let claim = claim(run, folder)?;
    // One that is damaged is trained anew, and put in its place.
    if !is_good(run, folder) {
        return Ok(Some(claim));
    }
    let epochs = record.epochs().map_err(|error| record.error(error))?;
    let own = Chosen::of(&epochs, run.training).filter(|_| is_complete(&epochs, run.training));
    if own.is_none_or(|own| !checkpoints.is_good(own.epoch)) {
        import(run, folder, record, checkpoints).map_err(failed)?;
        write_stage_events(run.folder, record)?;
        if !run.quiet {
            say(format_args!("{}: taken over from another trial", run.title()));
        }
    }
    Ok(None)
}

/// Whether the stage in `folder` is there, whole.
fn is_good(run: &StageRun, folder: &Path) -> bool {
    let record = StageRecord::new(folder.join(RECORD), run.stage, None);
    has_all(&record, &Checkpoints::new(folder.to_owned(), run.training.ema.is_some()), run.training)
}

/// Removes what this trial has of the stage, if it was made when something was other than it is now: the code, the device, the
/// data. By the name of the shared stage it is known.
fn forget_another(
    run: &StageRun,
    folder: &Path,
    record: &StageRecord,
    checkpoints: &Checkpoints,
) -> Result<(), Error> {
    let known = checkpoints.folder().join(IDENTITY);
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    if std::fs::read_to_string(&known).is_ok_and(|there| there == name) {
        return Ok(());
    }
    forget(run, record, checkpoints)?;
    write_whole(&known, name.as_bytes())
}

/// Removes the stage and what was made from it.
fn forget(run: &StageRun, record: &StageRecord, checkpoints: &Checkpoints) -> Result<(), Error> {
    run.dependents.iter().try_for_each(|path| remove(path))?;
    record.cut_back(0)?;
    let Ok(entries) = std::fs::read_dir(checkpoints.folder()) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_file() && path.file_name().is_some_and(|name| name != IDENTITY) {
            remove(&path)?;
        }
    }
    Ok(())
}

fn claim(run: &StageRun, folder: &Path) -> Result<Claim, TrainError> {
    let failed = |source: Error| TrainError::File { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(failed)?;
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
            say(format_args!("{}: another trial is at it; waiting for its end", run.title()));
        }
        std::thread::sleep(WAIT);
    }
}

fn import(
    run: &StageRun,
    folder: &Path,
    record: &StageRecord,
    checkpoints: &Checkpoints,
) -> Result<(), Error> {
    forget(run, record, checkpoints)?;
    link_checkpoints(folder, checkpoints.folder())?;
    record.adopt(&folder.join(RECORD))
}

impl Claim {
    /// Leaves the stage, which is complete, to the other trials.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(super) fn publish(self, record: &StageRecord, checkpoints: &Checkpoints) -> Result<(), TrainError> {
        let publish = || {
            link_checkpoints(checkpoints.folder(), &self.folder)?;
            write_whole(&self.folder.join(RECORD), record.detached()?.as_bytes())
        };
        publish().map_err(|source| TrainError::File { path: self.folder.clone(), source })
    }
}

/// Puts the checkpoints in `from` into `to` as well. A checkpoint is never written to again, so that a link will do.
fn link_checkpoints(from: &Path, to: &Path) -> Result<(), Error> {
    std::fs::create_dir_all(to)?;
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
    Ok(())
}
