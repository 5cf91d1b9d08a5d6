//! The record of a run: `metrics.jsonl`, with an object per epoch and one every `log_every` steps.
//!
//! Lines are appended. A line that a crash cut short is dropped when the stage resumes, and its epoch is repeated.

mod events;
mod mask_statistics;
mod meter;
mod tensorboard;

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::early_stopping::HeldOut;
use crate::data::Stage;
use crate::whole_file::{sync_folder, write_whole};

pub(crate) use events::events_folder;
pub(in crate::train) use events::write_stage_events;
pub(in crate::train) use mask_statistics::{MaskStatistics, statistics};
pub use meter::Place;
pub(in crate::train) use meter::{Meter, MeterError};

/// File of the record, in the folder of a run.
pub(crate) const RECORD: &str = "metrics.jsonl";

/// Values by name. Those that are not finite are written as null.
pub(in crate::train) type Values = BTreeMap<String, Option<f64>>;

/// A value by its name.
pub(in crate::train) fn value(name: &str, value: f64) -> (String, Option<f64>) {
    (name.to_owned(), value.is_finite().then_some(value))
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
    #[serde(flatten)]
    entry: Entry,
}

/// What a line says about its stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(in crate::train) struct Entry {
    pub(in crate::train) epoch: usize,
    /// Step of the stage, from 1; `None` if the line covers a whole epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::train) step: Option<usize>,
    /// Seconds that the stage has taken so far, over all restarts.
    pub(in crate::train) seconds: f64,
    /// Means over the epoch, or over the steps since the line before; the learning rate is that of the last step.
    pub(in crate::train) train: Values,
    /// Results on the validation split, in the line of an epoch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::train) held_out: Values,
    /// Statistics of each searched dimension.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(in crate::train) masks: BTreeMap<String, MaskStatistics>,
}

/// The lines of one stage in `metrics.jsonl`.
#[derive(Clone, Debug)]
pub(in crate::train) struct StageRecord {
    path: PathBuf,
    stage: &'static str,
    subnet: Option<String>,
}

impl StageRecord {
    pub(in crate::train) fn new(path: PathBuf, stage: Stage, subnet: Option<&str>) -> Self {
        Self { path, stage: stage.name(), subnet: subnet.map(str::to_owned) }
    }

    /// The file.
    pub(in crate::train) fn path(&self) -> &Path {
        &self.path
    }

    /// Name of the stage.
    pub(in crate::train) fn stage(&self) -> &'static str {
        self.stage
    }

    /// Label of the sub-network, when retraining.
    pub(in crate::train) fn subnet(&self) -> Option<&str> {
        self.subnet.as_deref()
    }

    /// The lines of the stage.
    pub(in crate::train) fn entries(&self) -> Result<Vec<Entry>, Error> {
        let lines = self.lines()?.into_iter();
        Ok(lines.filter(|line| self.is_ours(line)).map(|line| line.entry).collect())
    }

    /// The error of a stage whose record cannot be used.
    pub(in crate::train) fn error(&self, source: Error) -> TrainError {
        TrainError::File { path: self.path.clone(), source }
    }

    /// All complete lines of the file. A last line without a newline was cut short by a crash, and is left out.
    fn lines(&self) -> Result<Vec<Line>, Error> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        let read = |(number, line): (usize, &str)| {
            serde_json::from_str(line).map_err(|_| {
                let damage = format!("line {number} is damaged: repair it, or start again with `--fresh`");
                Error::new(ErrorKind::InvalidData, damage)
            })
        };
        (1..).zip(whole).map(read).collect()
    }

    fn is_ours(&self, line: &Line) -> bool {
        line.stage == self.stage && line.subnet == self.subnet
    }

    /// Top-1 on the validation split in each recorded epoch of the stage.
    pub(in crate::train) fn epochs(&self) -> Result<Vec<HeldOut>, Error> {
        let lines = self.lines()?;
        let ours = lines.iter().filter(|line| self.is_ours(line) && line.entry.step.is_none());
        let in_order = ours.zip(1..).take_while(|(line, epoch)| line.entry.epoch == *epoch);
        let held_out = |line: &Line| {
            let value = |name: &str| line.entry.held_out.get(name).copied().flatten();
            HeldOut { top1: value("top1").unwrap_or(0.0), top1_ema: value("top1_ema") }
        };
        Ok(in_order.map(|(line, _)| held_out(line)).collect())
    }

    /// Seconds that the recorded epochs took.
    pub(in crate::train) fn seconds(&self) -> Result<f64, Error> {
        let lines = self.lines()?;
        let last = lines.iter().rev().find(|line| self.is_ours(line));
        Ok(last.map_or(0.0, |line| line.entry.seconds))
    }

    /// Whether another stage has begun after this one.
    pub(in crate::train) fn is_followed(&self) -> Result<bool, Error> {
        let lines = self.lines()?;
        Ok(lines.iter().skip_while(|line| !self.is_ours(line)).any(|line| !self.is_ours(line)))
    }

    /// Whether the lines of the stage, but for their times, are those of the file `path`, which [`StageRecord::detached`] made.
    pub(in crate::train) fn repeats(&self, path: &Path) -> Result<bool, Error> {
        let theirs = Self { path: path.to_owned(), stage: self.stage, subnet: None };
        let timeless = |entry: Entry| Entry { seconds: 0.0, ..entry };
        Ok(self.entries()?.into_iter().map(timeless).eq(theirs.entries()?.into_iter().map(timeless)))
    }

    /// Removes the stage's lines after `epoch`, all lines of later stages, and a line that was cut short. Sub-networks do not
    /// depend on each other, so lines of other sub-networks stay.
    pub(in crate::train) fn cut_back(&self, epoch: usize) -> Result<(), Error> {
        let lines = self.lines()?;
        let begin = lines.iter().position(|line| self.is_ours(line)).unwrap_or(lines.len());
        let stays = |line: &&Line| match self.is_ours(line) {
            true => line.entry.epoch <= epoch,
            false => self.subnet.is_some(),
        };
        let kept = lines[begin..].iter().filter(stays);
        let mut text = String::new();
        for line in lines[..begin].iter().chain(kept) {
            text.push_str(&as_text(line)?);
        }
        write_whole(&self.path, text.as_bytes())
    }

    /// The lines of the stage as a text of their own, without the label of a sub-network.
    pub(in crate::train) fn detached(&self) -> Result<String, Error> {
        let line = |entry| as_text(&Line { stage: self.stage.to_owned(), subnet: None, entry });
        self.entries()?.into_iter().map(line).collect()
    }

    /// Appends the lines of the file `path`, which [`StageRecord::detached`] made of this stage in another run, as lines of this
    /// run.
    pub(in crate::train) fn adopt(&self, path: &Path) -> Result<(), Error> {
        let theirs = Self { path: path.to_owned(), stage: self.stage, subnet: None };
        let line =
            |entry| as_text(&Line { stage: self.stage.to_owned(), subnet: self.subnet.clone(), entry });
        let text: String = theirs.entries()?.into_iter().map(line).collect::<Result<_, Error>>()?;
        self.write(&text, true)
    }

    /// Adds a line of the stage. That of an epoch survives a power cut: its checkpoint counts because of it, and the one before
    /// goes.
    pub(in crate::train) fn append(&self, entry: Entry) -> Result<(), Error> {
        let ends_epoch = entry.step.is_none();
        let line = Line { stage: self.stage.to_owned(), subnet: self.subnet.clone(), entry };
        self.write(&as_text(&line)?, ends_epoch)
    }

    /// Appends `text`, and waits until the disk has it if it is to `last`.
    fn write(&self, text: &str, last: bool) -> Result<(), Error> {
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(text.as_bytes())?;
        if last {
            file.sync_all()?;
            self.path.parent().map_or(Ok(()), sync_folder)?;
        }
        Ok(())
    }
}

/// Removes the lines about the retraining of the sub-network `subnet` from the record in the folder `run`.
///
/// # Errors
///
/// When it cannot be read or written.
pub(crate) fn forget_retraining(run: &Path, subnet: &str) -> Result<(), Error> {
    let record = StageRecord::new(run.join(RECORD), Stage::Retrain, Some(subnet));
    if record.entries()?.is_empty() { Ok(()) } else { record.cut_back(0) }
}

fn as_text(line: &Line) -> Result<String, Error> {
    Ok(format!("{}\n", serde_json::to_string(line)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LINES: [(&str, Option<&str>, usize); 6] = [
        ("pretrain", None, 1),
        ("pretrain", None, 2),
        ("search", None, 1),
        ("retrain", Some("a"), 1),
        ("retrain", Some("b"), 1),
        ("retrain", Some("b"), 2),
    ];

    fn line(stage: &str, subnet: Option<&str>, epoch: usize, step: Option<usize>) -> Line {
        Line {
            stage: stage.into(),
            subnet: subnet.map(str::to_owned),
            entry: Entry {
                epoch,
                step,
                seconds: epoch as f64,
                train: BTreeMap::from([("loss".to_owned(), Some(0.1))]),
                held_out: BTreeMap::new(),
                masks: BTreeMap::new(),
            },
        }
    }

    fn record(tail: &str, stage: Stage, subnet: Option<&str>) -> (tempfile::TempDir, StageRecord) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut text = String::new();
        for (stage, subnet, epoch) in LINES {
            for step in [Some(10 * epoch), None] {
                text.push_str(&as_text(&line(stage, subnet, epoch, step)).unwrap());
            }
        }
        std::fs::write(&path, text + tail).unwrap();
        (folder, StageRecord::new(path, stage, subnet))
    }

    #[test]
    fn a_torn_line_is_no_line() {
        for tail in ["", "{\"stage\": \"retr", "{", "\0\0\0"] {
            let (_folder, record) = record(tail, Stage::Retrain, Some("b"));
            assert_eq!((record.epochs().unwrap().len(), record.seconds().unwrap()), (2, 2.0));
            record.cut_back(1).unwrap();
            let text = std::fs::read_to_string(&record.path).unwrap();
            assert_eq!((text.lines().count(), record.epochs().unwrap().len()), (10, 1));
        }
        // Complete lines are not cut short: something else damaged them.
        let (_folder, record) = self::record("{}\n", Stage::Retrain, Some("b"));
        let error = record.epochs().unwrap_err().to_string();
        assert!(error.contains("line 13 is damaged"), "{error}");
        // Complete but for its newline: it may be the start of a longer number.
        let (_folder, record) = self::record("", Stage::Retrain, Some("b"));
        let text = std::fs::read_to_string(&record.path).unwrap();
        std::fs::write(&record.path, text.trim_end()).unwrap();
        assert_eq!(record.epochs().unwrap().len(), 1);
    }

    #[test]
    fn cutting_back_removes_what_came_after() {
        let (_folder, record) = record("", Stage::Search, None);
        record.cut_back(0).unwrap();
        assert_eq!(record.lines().unwrap().len(), 4);
        for (subnet, left) in [("a", 10), ("b", 8), ("c", 12)] {
            let (_folder, record) = self::record("", Stage::Retrain, Some(subnet));
            record.cut_back(0).unwrap();
            assert_eq!(record.lines().unwrap().len(), left, "{subnet}");
        }
    }
}
