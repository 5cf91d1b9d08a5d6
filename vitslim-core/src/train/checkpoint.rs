//! Where a stage goes on after it was stopped.
//!
//! After each epoch, model, optimizer and learning rates are saved in a file each, and the average of the weights where there is
//! one. A file ends with the SHA-256 of what is before it, which is checked before anything is loaded: burn panics on a file
//! that is missing and takes one with flipped bits as it is. A checkpoint is good if all its files are.

use std::fs::DirEntry;
use std::path::{Path, PathBuf};

use burn::store::ModuleRecord;
use burn::tensor::Bytes;
use burn::train::checkpoint::{
    Checkpoint, Checkpointer, CheckpointerError, CheckpointingAction, CheckpointingStrategy,
};
use burn::train::metric::store::EventStoreClient;
use sha2::{Digest, Sha256};

use super::ending::{Chosen, HeldOut, best_epoch};
use super::record::StageRecord;
use crate::experiment::Training;
use crate::whole_file::{remove, write_whole};

/// What burn saves in a checkpoint.
const FILES: [&str; 3] = [MODEL, "optimizer", "learning_rate"];
const MODEL: &str = "model";
/// The average of the weights, which we save.
const AVERAGE: &str = "average";
const DIGEST: usize = 32;

/// Checkpoints that are kept: the last, and the one to fall back to.
const KEPT: usize = 2;

/// The checkpoints of one stage.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
    /// Whether the average of the weights is a part of them.
    averaged: bool,
}

impl Checkpoints {
    pub(super) fn new(folder: PathBuf, averaged: bool) -> Self {
        Self { folder, averaged }
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    fn file(&self, name: &'static str) -> CheckedFile {
        CheckedFile { folder: self.folder.clone(), name }
    }

    /// Savers of model, optimizer and learning rates.
    pub(super) fn savers(&self) -> [CheckedFile; 3] {
        FILES.map(|name| self.file(name))
    }

    fn paths(&self, epoch: usize) -> impl Iterator<Item = PathBuf> {
        let average = self.averaged.then_some(AVERAGE);
        FILES.into_iter().chain(average).map(move |name| self.file(name).path(epoch))
    }

    /// Whether all files of `epoch` are whole.
    pub(super) fn is_good(&self, epoch: usize) -> bool {
        self.paths(epoch).all(|path| read_checked(&path).is_ok())
    }

    /// The last epoch of at most `most` with a good checkpoint, and those after it that are damaged.
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

    /// What is wrong with the checkpoint of `epoch`, which is not good.
    pub(super) fn flaw(&self, epoch: usize) -> &'static str {
        if self.paths(epoch).all(|path| path.exists()) { "damaged" } else { "not whole" }
    }

    /// Epochs whose checkpoints are not needed once that of `last` is there: all but it, the one before, and those of `best`.
    pub(super) fn spare(&self, last: usize, best: &[usize]) -> Vec<usize> {
        let needed = |epoch: usize| (epoch <= last && epoch + KEPT > last) || best.contains(&epoch);
        self.epochs().into_iter().filter(|epoch| !needed(*epoch)).collect()
    }

    /// Removes what a process that was killed has left beside the files that it was writing.
    pub(super) fn remove_unfinished(&self) {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return };
        let unfinished = |entry: &DirEntry| entry.file_name().to_string_lossy().starts_with(".tmp");
        for entry in entries.filter_map(Result::ok).filter(unfinished) {
            // It takes room, no more.
            let _ = remove(&entry.path());
        }
    }

    /// Removes all files of `epoch`. What cannot be removed is written over later.
    pub(super) fn remove(&self, epoch: usize) {
        for path in self.paths(epoch) {
            let _ = remove(&path);
        }
    }

    /// Saves the average of the weights.
    pub(super) fn save_average(&self, epoch: usize, record: ModuleRecord) -> Result<(), CheckpointerError> {
        self.file(AVERAGE).save(epoch, record)
    }

    /// The average of the weights.
    pub(super) fn load_average(&self, epoch: usize) -> Result<ModuleRecord, CheckpointerError> {
        self.file(AVERAGE).restore(epoch)
    }

    /// The weights, or their average, as `chosen` says.
    pub(super) fn load(&self, chosen: Chosen) -> Result<ModuleRecord, CheckpointerError> {
        match chosen.averaged {
            true => self.load_average(chosen.epoch),
            false => self.file(MODEL).restore(chosen.epoch),
        }
    }

    /// Epochs of which there is a file, in order.
    pub(super) fn epochs(&self) -> Vec<usize> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut epochs: Vec<usize> =
            names.filter_map(|name| name.strip_suffix(".ckpt")?.rsplit_once('-')?.1.parse().ok()).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
    }
}

/// Which checkpoints are kept: the last two, and that of the best epoch where a stage stops early.
pub(super) struct Keep {
    pub(super) checkpoints: Checkpoints,
    pub(super) record: StageRecord,
    pub(super) training: Training,
}

impl Keep {
    /// What to do after `epoch`, when `epochs` are recorded.
    ///
    /// burn saves in other threads: it removes what is not needed any more after it has saved, and what was the best until
    /// now stays until the next time.
    fn actions(&self, epoch: usize, epochs: &[HeldOut]) -> Vec<CheckpointingAction> {
        let before = &epochs[..epochs.len().min(epoch - 1)];
        let best = [before, epochs].map(|epochs| best_epoch(epochs, &self.training));
        let best: Vec<usize> = best.into_iter().flatten().collect();
        let spare = self.checkpoints.spare(epoch, &best).into_iter().filter(|spare| *spare < epoch);
        [CheckpointingAction::Save].into_iter().chain(spare.map(CheckpointingAction::Delete)).collect()
    }
}

impl CheckpointingStrategy for Keep {
    fn checkpointing(&mut self, epoch: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        if self.training.early_stop.is_none() {
            return self.actions(epoch, &[]);
        }
        match self.record.epochs() {
            Ok(epochs) => self.actions(epoch, &epochs),
            // What cannot be read now may be needed later.
            Err(_) => vec![CheckpointingAction::Save],
        }
    }
}

/// One of the files of a checkpoint.
#[derive(Clone, Debug)]
pub(super) struct CheckedFile {
    folder: PathBuf,
    name: &'static str,
}

impl CheckedFile {
    fn path(&self, epoch: usize) -> PathBuf {
        self.folder.join(format!("{}-{epoch}.ckpt", self.name))
    }
}

impl<R: Checkpoint> Checkpointer<R> for CheckedFile {
    fn save(&self, epoch: usize, record: R) -> Result<(), CheckpointerError> {
        let record = record.checkpoint_into_bytes().map_err(CheckpointerError::Record)?;
        let bytes = [&record[..], Sha256::digest(&record[..]).as_slice()].concat();
        write_whole(&self.path(epoch), &bytes).map_err(CheckpointerError::IOError)
    }

    fn restore(&self, epoch: usize) -> Result<R, CheckpointerError> {
        let record = read_checked(&self.path(epoch)).map_err(CheckpointerError::IOError)?;
        R::checkpoint_from_bytes(Bytes::from_bytes_vec(record)).map_err(CheckpointerError::Record)
    }

    /// What cannot be removed takes room, no more: it does not stop the training.
    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        let _ = remove(&self.path(epoch));
        if self.name == MODEL {
            let _ = remove(&Self { name: AVERAGE, ..self.clone() }.path(epoch));
        }
        Ok(())
    }
}

/// What a file holds, if its digest is right.
fn read_checked(path: &Path) -> Result<Vec<u8>, std::io::Error> {
    let mut bytes = std::fs::read(path)?;
    let end = bytes.len().checked_sub(DIGEST);
    match end {
        Some(end) if Sha256::digest(&bytes[..end]).as_slice() == &bytes[end..] => {
            bytes.truncate(end);
            Ok(bytes)
        }
        _ => Err(std::io::Error::new(
            std::io::ErrorKind::InvalidData,
            format!("`{}` is damaged: its checksum is wrong", path.display()),
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::super::ending::tests::training;
    use super::*;
    use crate::data::Stage;

    fn with_checkpoints(epochs: &[usize]) -> (tempfile::TempDir, Checkpoints) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_owned(), true);
        for &epoch in epochs {
            for path in checkpoints.paths(epoch) {
                let bytes = [&b"record"[..], Sha256::digest(b"record").as_slice()].concat();
                write_whole(&path, &bytes).unwrap();
            }
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
            for index in 0..4 {
                let (_folder, checkpoints) = with_checkpoints(&[9, 10]);
                let path = checkpoints.paths(10).nth(index).unwrap();
                damage(&path);
                assert_eq!(checkpoints.last_good(10), (Some(9), vec![10]));
            }
        }
    }

    #[test]
    fn epochs_without_a_record_do_not_count_and_old_files_are_spare() {
        let (_folder, checkpoints) = with_checkpoints(&[1, 2, 3, 4, 5]);
        assert_eq!(checkpoints.last_good(4), (Some(4), vec![]));
        assert_eq!(checkpoints.spare(4, &[]), [1, 2, 5]);
        assert_eq!(checkpoints.spare(4, &[2]), [1, 5]);
        checkpoints.remove(5);
        assert_eq!(checkpoints.epochs(), [1, 2, 3, 4]);
        std::fs::remove_file(checkpoints.paths(4).last().unwrap()).unwrap();
        assert_eq!([checkpoints.flaw(4), checkpoints.flaw(3)], ["not whole", "damaged"]);
        assert_eq!(checkpoints.last_good(0), (None, vec![]));
    }

    #[test]
    fn what_is_not_needed_goes_after_its_successor_is_saved() {
        let keep = |early_stop: &str, epochs: &[usize]| {
            let (folder, checkpoints) = with_checkpoints(epochs);
            let record = StageRecord::new(folder.path().join("metrics.jsonl"), Stage::Pretrain, None);
            (folder, Keep { checkpoints, record, training: training(early_stop) })
        };
        let held_out = |values: &[f64]| -> Vec<HeldOut> {
            values.iter().map(|&top1| HeldOut { top1, top1_ema: None }).collect()
        };
        use CheckpointingAction::{Delete, Save};
        let (_folder, last_two) = keep("", &[3, 4]);
        assert_eq!(last_two.actions(5, &[]), [Save, Delete(3)]);
        // Epoch 2 was the best, and is until epoch 6 is whole.
        let (_folder, best) = keep("early_stop: 4,", &[2, 4, 5]);
        let epochs = held_out(&[0.1, 0.8, 0.2, 0.2, 0.2, 0.9]);
        assert_eq!(best.actions(6, &epochs), [Save, Delete(4)]);
        let (_folder, best) = keep("early_stop: 4,", &[2, 5, 6]);
        assert_eq!(best.actions(7, &[&epochs[..], &held_out(&[0.3])].concat()), [Save, Delete(2), Delete(5)]);
    }

    #[test]
    fn what_a_killed_process_left_beside_is_removed() {
        let (folder, checkpoints) = with_checkpoints(&[1]);
        std::fs::write(folder.path().join(".tmpAbc"), "half").unwrap();
        checkpoints.remove_unfinished();
        assert!(!folder.path().join(".tmpAbc").exists());
        assert!(checkpoints.is_good(1));
    }
}
