//! Where a stage goes on after it was stopped.
//!
//! After each epoch, model, optimizer and learning rates are saved in a file each. A file ends with the SHA-256 of what is
//! before it, which is checked before anything is loaded: burn panics on a file that is missing and takes one with
//! flipped bits as it is. A checkpoint is good if all three files are.

use std::path::{Path, PathBuf};

use burn::tensor::Bytes;
use burn::train::checkpoint::{Checkpoint, Checkpointer, CheckpointerError};
use sha2::{Digest, Sha256};

use crate::whole_file::{remove, write_whole};

/// The files of one checkpoint.
const FILES: [&str; 3] = ["model", "optimizer", "learning_rate"];
const DIGEST: usize = 32;

/// Checkpoints that are kept: the last, and the one to fall back to.
pub(super) const KEPT: usize = 2;

/// The checkpoints of one stage.
#[derive(Clone, Debug)]
pub(super) struct Checkpoints {
    folder: PathBuf,
}

impl Checkpoints {
    pub(super) fn new(folder: PathBuf) -> Self {
        Self { folder }
    }

    /// Savers of model, optimizer and learning rates.
    pub(super) fn savers(&self) -> [CheckedFile; 3] {
        FILES.map(|name| CheckedFile { folder: self.folder.clone(), name })
    }

    /// The last epoch of at most `most` with a good checkpoint, and those after it that are damaged.
    pub(super) fn last_good(&self, most: usize) -> (Option<usize>, Vec<usize>) {
        let mut epochs = self.epochs();
        epochs.sort_unstable_by(|a, b| b.cmp(a));
        let (mut good, mut damaged) = (None, Vec::new());
        for &epoch in epochs.iter().filter(|epoch| **epoch <= most) {
            if self.savers().iter().all(|file| read_checked(&file.path(epoch)).is_ok()) {
                good = Some(epoch);
                break;
            }
            damaged.push(epoch);
        }
        (good, damaged)
    }

    /// Removes all checkpoints but that of the epoch `good` and the one before.
    pub(super) fn remove_all_but(&self, good: Option<usize>) {
        let keep = |epoch: usize| good.is_some_and(|good| epoch <= good && epoch + KEPT > good);
        for epoch in self.epochs().into_iter().filter(|epoch| !keep(*epoch)) {
            for file in self.savers() {
                // What cannot be removed is written over later.
                let _ = remove(&file.path(epoch));
            }
        }
    }

    fn epochs(&self) -> Vec<usize> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else { return Vec::new() };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut epochs: Vec<usize> =
            names.filter_map(|name| name.strip_suffix(".ckpt")?.rsplit_once('-')?.1.parse().ok()).collect();
        epochs.sort_unstable();
        epochs.dedup();
        epochs
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

    fn delete(&self, epoch: usize) -> Result<(), CheckpointerError> {
        remove(&self.path(epoch)).map_err(CheckpointerError::IOError)
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
    use super::*;

    fn with_checkpoints(epochs: &[usize]) -> (tempfile::TempDir, Checkpoints) {
        let folder = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(folder.path().to_owned());
        for &epoch in epochs {
            for file in checkpoints.savers() {
                Checkpointer::<()>::save(&file, epoch, ()).unwrap();
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
            for index in 0..FILES.len() {
                let (_folder, checkpoints) = with_checkpoints(&[9, 10]);
                damage(&checkpoints.savers()[index].path(10));
                assert_eq!(checkpoints.last_good(10), (Some(9), vec![10]));
            }
        }
    }

    #[test]
    fn epochs_without_a_record_do_not_count_and_old_files_go() {
        let (_folder, checkpoints) = with_checkpoints(&[1, 2, 3, 4, 5]);
        assert_eq!(checkpoints.last_good(4), (Some(4), vec![]));
        assert_eq!(checkpoints.epochs(), [1, 2, 3, 4, 5]);
        checkpoints.remove_all_but(Some(4));
        assert_eq!(checkpoints.epochs(), [3, 4]);
        assert_eq!(checkpoints.last_good(0), (None, vec![]));
        checkpoints.remove_all_but(None);
        assert_eq!(checkpoints.epochs(), [] as [usize; 0]);
    }
}
