//! The checkpoints of a stage: what is saved after an epoch, and which are kept.
//!
//! A checkpoint has a file for the model and its masks, one for the optimizer, and one for the average of the weights if there
//! is one. Each file ends with the SHA-256 of what precedes it, which is verified before anything is loaded: burn would load a
//! file with flipped bits without complaint. A checkpoint is good if all its files are.

use std::fs::DirEntry;
use std::io::{Error, ErrorKind};
use std::path::{Path, PathBuf};

use burn::module::Module;
use burn::optim::{ModuleOptimizer, OptimizerRecord};
use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use sha2::{Digest, Sha256};

use super::early_stopping::{Chosen, HeldOut, best_epoch};
use crate::experiment::{Keep, Training};
use crate::models::Architecture;
use crate::slim::Slim;
use crate::terminal::one_line;
use crate::whole_file::{remove, write_whole};

const MODEL: &str = "model";
const OPTIMIZER: &str = "optimizer";
/// File name of the averaged weights.
const AVERAGE: &str = "average";
const DIGEST: usize = 32;

/// Number of checkpoints that are kept: the last, and one to fall back to.
const KEPT: usize = 2;

/// An undamaged checkpoint that does not fit the network.
#[derive(Debug, thiserror::Error)]
#[error("the checkpoint of epoch {epoch} in `{}` does not fit the network: {reason}", .folder.display())]
pub struct CheckpointMismatchError {
    /// Folder of the stage's checkpoints.
    pub folder: PathBuf,
    /// Epoch, from 1.
    pub epoch: usize,
    /// What does not fit, on one line.
    pub reason: String,
}

/// The checkpoints of one stage.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// Whether checkpoints include the average of the weights.
    averaged: bool,
}

/// The names under which a checkpoint stores model and masks: `slim.model.blocks...`, `slim.masks...`.
#[derive(Module, Debug)]
struct Saved<M: Module> {
    slim: Slim<M>,
}

impl Checkpoints {
    pub(super) fn new(folder: PathBuf, averaged: bool) -> Self {
        Self { folder, averaged }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, name: &str, epoch: usize) -> PathBuf {
        self.folder.join(format!("{name}-{epoch}.ckpt"))
    }

    fn files(&self, epoch: usize) -> impl Iterator<Item = PathBuf> {
        let average = self.averaged.then_some(AVERAGE);
        [MODEL, OPTIMIZER].into_iter().chain(average).map(move |name| self.file(name, epoch))
    }

    /// Saves the state of training after `epoch`: model and masks in validation mode, their average if there is one, and the
    /// optimizer.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub(super) fn save<M: Architecture>(
        &self,
        epoch: usize,
        slim: Slim<M>,
        average: Option<Slim<M>>,
        optimizer: &ModuleOptimizer,
    ) -> Result<(), Error> {
        let modules = [(MODEL, Some(slim)), (AVERAGE, average)];
        for (name, slim) in modules.into_iter().filter_map(|(name, slim)| Some((name, slim?))) {
            let record = Saved { slim }.into_record().into_bytes().map_err(other)?;
            write_checked(&self.file(name, epoch), &record)?;
        }
        let record = optimizer.to_record().into_bytes().map_err(other)?;
        write_checked(&self.file(OPTIMIZER, epoch), &record)
    }

    /// `slim` with the weights, or averaged weights, of the epoch that `chosen` names.
    ///
    /// # Errors
    ///
    /// When the checkpoint belongs to another network.
    pub(super) fn load<M: Architecture>(
        &self,
        chosen: Chosen,
        slim: Slim<M>,
    ) -> Result<Slim<M>, CheckpointMismatchError> {
        let load = || {
            let bytes = read_checked(&self.weights(chosen)).map_err(|error| error.to_string())?;
            let record =
                ModuleRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|error| error.to_string())?;
            Saved { slim }.try_load_record(record).map_err(|error| error.to_string())
        };
        load().map(|saved| saved.slim).map_err(|reason| self.unfit(chosen.epoch, &reason))
    }

    /// `optimizer` with its moments after `epoch`.
    ///
    /// # Errors
    ///
    /// When its file cannot be read.
    pub(super) fn load_optimizer(
        &self,
        epoch: usize,
        optimizer: ModuleOptimizer,
    ) -> Result<ModuleOptimizer, CheckpointMismatchError> {
        let load = || {
            let bytes = read_checked(&self.file(OPTIMIZER, epoch)).map_err(|error| error.to_string())?;
            OptimizerRecord::from_bytes(Bytes::from_bytes_vec(bytes)).map_err(|error| error.to_string())
        };
        load().map(|record| optimizer.load_record(record)).map_err(|reason| self.unfit(epoch, &reason))
    }

    fn unfit(&self, epoch: usize, reason: &str) -> CheckpointMismatchError {
        CheckpointMismatchError { folder: self.folder.clone(), epoch, reason: one_line(reason) }
    }

    /// Whether all files of `epoch` are undamaged.
    pub(super) fn is_good(&self, epoch: usize) -> bool {
        self.files(epoch).all(|path| read_checked(&path).is_ok())
    }

    /// The last epoch up to `most` with a good checkpoint, and the later ones, whose checkpoints are damaged.
    pub(super) fn last_good(&self, most: usize) -> (Option<usize>, Vec<usize>) {
        let mut damaged = Vec::new();
        for epoch in self.epochs().into_iter().rev().filter(|epoch| *epoch <= most) {
            if self.is_good(epoch) {
                return (Some(epoch), damaged);
            }
            damaged.push(epoch);
        }
        (None, damaged)
    }

    /// The file with the weights, or averaged weights, of the epoch that `chosen` names.
    pub(super) fn weights(&self, chosen: Chosen) -> PathBuf {
        self.file(if chosen.averaged { AVERAGE } else { MODEL }, chosen.epoch)
    }

    /// Whether the weights that `chosen` names are there and undamaged.
    pub(super) fn has_weights(&self, chosen: Chosen) -> bool {
        read_checked(&self.weights(chosen)).is_ok()
    }

    /// What is wrong with the checkpoint of `epoch`, which is not good.
    pub(super) fn flaw(&self, epoch: usize) -> &'static str {
        // Of a complete stage only the weights are kept.
        let is_damaged = |path: PathBuf| path.exists() && read_checked(&path).is_err();
        if self.files(epoch).any(is_damaged) { "damaged" } else { "incomplete" }
    }

    /// Removes the checkpoints that are not needed once that of `last` is saved. It keeps that one, the one before, and with
    /// early stopping the best of `epochs`; or all of them, if they are to be kept.
    pub(super) fn prune(&self, last: usize, epochs: &[HeldOut], training: &Training, keep: Keep) {
        let best = best_epoch(epochs, training);
        let kept = if keep == Keep::All { last } else { KEPT };
        let needed = |epoch: usize| (epoch <= last && epoch + kept > last) || best == Some(epoch);
        let spare = self.entries().filter(|(_, epoch)| epoch.is_none_or(|epoch| !needed(epoch)));
        // A file that cannot be removed only takes up space.
        spare.for_each(|(path, _)| drop(remove(&path)));
    }

    /// The files that a complete stage does not need, which ended with the weights that `result` names.
    pub(super) fn spare(&self, result: Chosen) -> impl Iterator<Item = PathBuf> {
        let needed = self.weights(result);
        self.entries().map(|(path, _)| path).filter(move |path| *path != needed)
    }

    /// Epochs that have at least one file, in order.
    pub(super) fn epochs(&self) -> Vec<usize> {
        let mut epochs: Vec<usize> = self.entries().filter_map(|(_, epoch)| epoch).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }

    /// The files of checkpoints with their epochs; files that a killed process left unfinished have `None`.
    fn entries(&self) -> impl Iterator<Item = (PathBuf, Option<usize>)> {
        let entry = |entry: DirEntry| {
            let name = entry.file_name().into_string().ok()?;
            let epoch = name.strip_suffix(".ckpt").and_then(|name| name.rsplit_once('-')?.1.parse().ok());
            (epoch.is_some() || name.starts_with(".tmp")).then(|| (entry.path(), epoch))
        };
        let entries = std::fs::read_dir(&self.folder).into_iter().flatten();
        entries.filter_map(move |found| entry(found.ok()?))
    }
}

fn other(error: impl std::fmt::Display) -> Error {
    Error::other(error.to_string())
}

fn write_checked(path: &Path, record: &[u8]) -> Result<(), Error> {
    write_whole(path, &[record, Sha256::digest(record).as_slice()].concat())
}

/// The content of a file whose checksum is right.
fn read_checked(path: &Path) -> Result<Vec<u8>, Error> {
    let mut bytes = std::fs::read(path)?;
    let end = bytes.len().checked_sub(DIGEST);
    match end {
        Some(end) if Sha256::digest(&bytes[..end]).as_slice() == &bytes[end..] => {
            bytes.truncate(end);
            Ok(bytes)
        }
        _ => {
            let reason = format!("`{}` is damaged: its checksum is wrong", path.display());
            Err(Error::new(ErrorKind::InvalidData, reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::fixture::training;

    fn with_checkpoints(epochs: &[usize]) -> (tempfile::TempDir, Checkpoints) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_owned(), true);
        for &epoch in epochs {
            checkpoints.files(epoch).for_each(|path| write_checked(&path, b"record").unwrap());
        }
        (folder, checkpoints)
    }

    #[test]
    fn the_last_good_checkpoint_is_found_whatever_happened_to_a_file() {
        let (_folder, checkpoints) = with_checkpoints(&[9, 10]);
        assert_eq!(checkpoints.last_good(10), (Some(10), vec![]));
        let damages: [fn(&Path); 4] = [
            |path| std::fs::remove_file(path).unwrap(),
            |path| std::fs::write(path, b"").unwrap(),
            |path| {
                let bytes = std::fs::read(path).unwrap();
                std::fs::write(path, &bytes[..bytes.len() - 1]).unwrap();
            },
            |path| {
                let mut bytes = std::fs::read(path).unwrap();
                bytes[0] ^= 1;
                std::fs::write(path, bytes).unwrap();
            },
        ];
        for damage in damages {
            for index in 0..3 {
                let (_folder, checkpoints) = with_checkpoints(&[9, 10]);
                let path = checkpoints.files(10).nth(index).unwrap();
                damage(&path);
                assert_eq!(checkpoints.last_good(10), (Some(9), vec![10]));
            }
        }
    }

    #[test]
    fn epochs_without_a_record_do_not_count() {
        let (_folder, checkpoints) = with_checkpoints(&[3, 4, 5]);
        assert_eq!(checkpoints.last_good(4), (Some(4), vec![]));
        assert_eq!(checkpoints.last_good(0), (None, vec![]));
        std::fs::remove_file(checkpoints.files(4).last().unwrap()).unwrap();
        std::fs::write(checkpoints.files(3).next().unwrap(), b"another").unwrap();
        assert_eq!([checkpoints.flaw(4), checkpoints.flaw(3)], ["incomplete", "damaged"]);
        // As a complete stage leaves it.
        checkpoints.files(3).skip(1).for_each(|path| std::fs::remove_file(path).unwrap());
        assert_eq!(checkpoints.flaw(3), "damaged");
    }

    #[test]
    fn the_last_two_stay_and_the_best_of_a_stage_that_stops_early() {
        let epochs = [0.1, 0.8, 0.2, 0.2].map(|top1| HeldOut { top1, top1_ema: None });
        for (settings, keep, expected) in [
            ("", Keep::Last, vec![3, 4]),
            ("early_stop: 4,", Keep::Last, vec![2, 3, 4]),
            ("", Keep::All, vec![1, 2, 3, 4]),
        ] {
            let (folder, checkpoints) = with_checkpoints(&[1, 2, 3, 4, 5]);
            // From a version that saved more files, and from a process that was killed.
            std::fs::write(folder.path().join("learning_rate-0.ckpt"), "").unwrap();
            std::fs::write(folder.path().join(".tmpAbc"), "half").unwrap();
            std::fs::write(folder.path().join("notes"), "mine").unwrap();
            checkpoints.prune(4, &epochs, &training(settings), keep);
            assert_eq!(checkpoints.epochs(), expected);
            assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3 * expected.len() + 1);
        }
    }

    #[test]
    fn a_complete_stage_needs_the_weights_that_it_ended_with_and_nothing_else() {
        for (averaged, name) in [(false, "model-2.ckpt"), (true, "average-2.ckpt")] {
            let (folder, checkpoints) = with_checkpoints(&[2, 3]);
            std::fs::write(folder.path().join("identity"), "shared").unwrap();
            let result = Chosen { epoch: 2, averaged };
            let spare: Vec<PathBuf> = checkpoints.spare(result).collect();
            assert_eq!(spare.len(), 5);
            spare.iter().for_each(|path| std::fs::remove_file(path).unwrap());
            assert!(checkpoints.has_weights(result) && folder.path().join(name).exists());
            assert!(!checkpoints.is_good(2) && folder.path().join("identity").exists());
        }
    }
}
