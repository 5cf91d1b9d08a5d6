//! The record of a run: `metrics.jsonl`, an object an epoch and one every so many steps.
//!
//! Lines are appended. One that a crash tore is no line: it is cut off when the stage goes on, and its epoch is done again.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{Error, ErrorKind, Write};
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::TrainError;
use super::mask_statistics::MaskStatistics;
use crate::data::Stage;
use crate::whole_file::write_whole;

/// Values by name; one that is not finite is written as null.
pub(super) type Values = BTreeMap<String, Option<f64>>;

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Line {
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
    #[serde(flatten)]
    entry: Entry,
}

/// What a line says of its stage.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Entry {
    pub(super) epoch: usize,
    /// Step of the stage, from 1, if the line is not of a whole epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) step: Option<usize>,
    /// Seconds that the stage took until here, over all restarts.
    pub(super) seconds: f64,
    /// Means over the epoch, or over its steps since the line before; the learning rate is that of the last step.
    pub(super) train: Values,
    /// Of a whole epoch.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) held_out: Values,
    /// Of each dimension that is searched.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) masks: BTreeMap<String, MaskStatistics>,
}

/// Held-out top-1 after an epoch.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct HeldOut {
    /// Of the weights.
    top1: f64,
    /// Of their running average, if there is one.
    top1_ema: Option<f64>,
}

impl HeldOut {
    /// Whether the average is better than the weights.
    pub(super) fn average_is_better(self) -> bool {
        self.top1_ema.is_some_and(|average| average > self.top1)
    }

    /// That of the better of the two.
    fn best(self) -> f64 {
        self.top1_ema.map_or(self.top1, |average| average.max(self.top1))
    }
}

/// The best of `epochs`, from 1, or 0 if there is none. Of equal ones the first.
pub(super) fn best_epoch(epochs: &[HeldOut]) -> usize {
    let best =
        epochs.iter().zip(1..).reduce(|best, next| if next.0.best() > best.0.best() { next } else { best });
    best.map_or(0, |(_, epoch)| epoch)
}

/// Which weights of a stage go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Chosen {
    pub(super) epoch: usize,
    /// Whether the running average goes on, and not the weights themselves.
    pub(super) averaged: bool,
}

impl Chosen {
    /// Of `epochs` the best where the stage stops early, else the last; `None` if there is none.
    pub(super) fn of(epochs: &[HeldOut], stops_early: bool) -> Option<Self> {
        let epoch = if stops_early { best_epoch(epochs) } else { epochs.len() };
        let held_out = epochs.get(epoch.checked_sub(1)?)?;
        Some(Self { epoch, averaged: held_out.average_is_better() })
    }
}

/// The lines of one stage in `metrics.jsonl`.
#[derive(Clone, Debug)]
pub(super) struct StageRecord {
    path: PathBuf,
    stage: &'static str,
    subnet: Option<String>,
}

impl StageRecord {
    pub(super) fn new(path: PathBuf, stage: Stage, subnet: Option<&str>) -> Self {
        Self { path, stage: stage.name(), subnet: subnet.map(str::to_owned) }
    }

    /// Name of the stage.
    pub(super) fn stage(&self) -> &'static str {
        self.stage
    }

    /// The error of a stage whose record cannot be used.
    pub(super) fn error(&self, source: Error) -> TrainError {
        TrainError::File { path: self.path.clone(), source }
    }

    /// All whole lines of the file. One that was torn by a crash is left out.
    fn lines(&self) -> Result<Vec<Line>, Error> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        Ok(whole.map_while(|line| serde_json::from_str(line).ok()).collect())
    }

    fn is_ours(&self, line: &Line) -> bool {
        line.stage == self.stage && line.subnet == self.subnet
    }

    /// Held-out top-1 of each recorded epoch of the stage.
    pub(super) fn epochs(&self) -> Result<Vec<HeldOut>, Error> {
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
    pub(super) fn seconds(&self) -> Result<f64, Error> {
        let lines = self.lines()?;
        let last = lines.iter().rev().find(|line| self.is_ours(line));
        Ok(last.map_or(0.0, |line| line.entry.seconds))
    }

    /// Removes the lines after epoch `epoch` of the stage, those of later stages among them, and a torn line.
    pub(super) fn cut_back(&self, epoch: usize) -> Result<(), Error> {
        let lines = self.lines()?;
        let begin = lines.iter().position(|line| self.is_ours(line)).unwrap_or(lines.len());
        let kept = lines[begin..].iter().filter(|line| self.is_ours(line) && line.entry.epoch <= epoch);
        let mut text = String::new();
        for line in lines[..begin].iter().chain(kept) {
            text.push_str(&as_text(line)?);
        }
        write_whole(&self.path, text.as_bytes())
    }

    /// Adds a line of the stage.
    pub(super) fn append(&self, entry: Entry) -> Result<(), Error> {
        let line = Line { stage: self.stage.to_owned(), subnet: self.subnet.clone(), entry };
        let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
        file.write_all(as_text(&line)?.as_bytes())
    }
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
        // Whole, but for its newline: it may be a part of a longer number.
        let (_folder, record) = record("", Stage::Retrain, Some("b"));
        let text = std::fs::read_to_string(&record.path).unwrap();
        std::fs::write(&record.path, text.trim_end()).unwrap();
        assert_eq!(record.epochs().unwrap().len(), 1);
    }

    #[test]
    fn cutting_back_removes_what_came_after() {
        let (_folder, record) = record("", Stage::Search, None);
        record.cut_back(0).unwrap();
        assert_eq!(record.lines().unwrap().len(), 4);
        let (_folder, record) = self::record("", Stage::Retrain, Some("c"));
        record.cut_back(0).unwrap();
        assert_eq!(record.lines().unwrap().len(), 12);
    }

    #[test]
    fn the_best_epoch_is_the_first_of_the_best_weights_or_averages() {
        let epochs = |values: &[(f64, Option<f64>)]| -> Vec<HeldOut> {
            values.iter().map(|&(top1, top1_ema)| HeldOut { top1, top1_ema }).collect()
        };
        assert_eq!(best_epoch(&[]), 0);
        assert_eq!(best_epoch(&epochs(&[(0.5, None), (0.7, None), (0.7, None), (0.6, None)])), 2);
        assert_eq!(best_epoch(&epochs(&[(0.7, Some(0.1)), (0.6, Some(0.8)), (0.7, Some(0.7))])), 2);
        let better = epochs(&[(0.7, Some(0.8)), (0.7, Some(0.7)), (0.7, None)]);
        assert_eq!(
            better.into_iter().map(HeldOut::average_is_better).collect::<Vec<_>>(),
            [true, false, false]
        );
    }
}
