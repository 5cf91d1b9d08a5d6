//! The record of a run: `metrics.jsonl`, an object an epoch.
//!
//! Lines are appended. One that a crash tore is no line: it is cut off when the stage goes on, and its epoch is done again.

use std::collections::{BTreeMap, HashMap};
use std::fs::{File, OpenOptions};
use std::io::{Error, ErrorKind, Write};
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use burn::train::logger::MetricLogger;
use burn::train::metric::store::{EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{MetricDefinition, MetricId, MetricName, NumericEntry};
use serde::{Deserialize, Serialize};

use crate::data::Stage;
use crate::whole_file::write_whole;

/// How burn's metrics are called in our files.
pub(super) fn field_of(metric: &str) -> &'static str {
    match metric {
        "Loss" => "loss",
        "Accuracy" => "top1",
        "Learning Rate" => "learning_rate",
        "Penalty" => "penalty",
        _ => "other",
    }
}

/// The value of a metric as our files have it: accuracies are fractions.
pub(super) fn value_of(metric: &str, value: f64) -> f64 {
    if metric == "Accuracy" { value / 100.0 } else { value }
}

/// One line of `metrics.jsonl`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Epoch {
    stage: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    subnet: Option<String>,
    epoch: usize,
    /// Seconds that the stage took until here, over all restarts.
    seconds: f64,
    /// A value that is not finite is written as null.
    train: BTreeMap<String, Option<f64>>,
    held_out: BTreeMap<String, Option<f64>>,
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

    /// All whole lines of the file. One that was torn by a crash is left out.
    fn lines(&self) -> Result<Vec<Epoch>, Error> {
        let text = match std::fs::read(&self.path) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let whole = text.split_inclusive('\n').filter(|line| line.ends_with('\n'));
        Ok(whole.map_while(|line| serde_json::from_str(line).ok()).collect())
    }

    fn is_ours(&self, line: &Epoch) -> bool {
        line.stage == self.stage && line.subnet == self.subnet
    }

    /// How many epochs of the stage are recorded.
    pub(super) fn epochs(&self) -> Result<usize, Error> {
        let lines = self.lines()?;
        let ours = lines.iter().filter(|line| self.is_ours(line));
        Ok(ours.zip(1..).take_while(|(line, epoch)| line.epoch == *epoch).count())
    }

    /// Seconds that the recorded epochs took.
    pub(super) fn seconds(&self) -> Result<f64, Error> {
        let lines = self.lines()?;
        let last = lines.iter().rev().find(|line| self.is_ours(line));
        Ok(last.map_or(0.0, |line| line.seconds))
    }

    /// Removes the lines after epoch `epoch` of the stage, those of later stages among them, and a torn line.
    pub(super) fn cut_back(&self, epoch: usize) -> Result<(), Error> {
        let lines = self.lines()?;
        let begin = lines.iter().position(|line| self.is_ours(line)).unwrap_or(lines.len());
        let kept = lines[begin..].iter().filter(|line| self.is_ours(line) && line.epoch <= epoch);
        let mut text = String::new();
        for line in lines[..begin].iter().chain(kept) {
            text.push_str(&serde_json::to_string(line)?);
            text.push('\n');
        }
        write_whole(&self.path, text.as_bytes())
    }
}

/// The first line that could not be written, if any. The logger belongs to burn's thread, so that its owner reads it here.
pub(super) type WriteFailure = Arc<Mutex<Option<Error>>>;

/// Writes the lines of a stage while it runs.
pub(super) struct RecordLogger {
    record: StageRecord,
    file: File,
    seconds_before: f64,
    started: Instant,
    names: HashMap<MetricId, MetricName>,
    train: BTreeMap<String, Option<f64>>,
    held_out: BTreeMap<String, Option<f64>>,
    failure: WriteFailure,
}

impl RecordLogger {
    /// Goes on with a record.
    pub(super) fn append(record: StageRecord, failure: WriteFailure) -> Result<Self, Error> {
        Ok(Self {
            file: OpenOptions::new().create(true).append(true).open(&record.path)?,
            seconds_before: record.seconds()?,
            record,
            started: Instant::now(),
            names: HashMap::new(),
            train: BTreeMap::new(),
            held_out: BTreeMap::new(),
            failure,
        })
    }
}

impl MetricLogger for RecordLogger {
    fn log(&mut self, update: MetricsUpdate, _: usize, split: &Split) {
        let values = match split {
            Split::Train => &mut self.train,
            _ => &mut self.held_out,
        };
        for update in update.entries_numeric {
            let Some(name) = self.names.get(&update.entry.metric_id) else { continue };
            if let Some(NumericEntry::Final(value)) = update.numeric_entry {
                let value = value_of(name, value);
                values.insert(field_of(name).to_owned(), value.is_finite().then_some(value));
            }
        }
    }

    fn read_numeric(&mut self, name: &str, _: usize, _: &Split) -> Result<Vec<NumericEntry>, String> {
        Err(format!("`{name}` is only written"))
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name);
    }

    fn log_epoch_summary(&mut self, summary: EpochSummary) {
        if summary.split != Split::Valid {
            return;
        }
        let epoch = Epoch {
            stage: self.record.stage.to_owned(),
            subnet: self.record.subnet.clone(),
            epoch: summary.epoch_number,
            seconds: self.seconds_before + self.started.elapsed().as_secs_f64(),
            train: std::mem::take(&mut self.train),
            held_out: std::mem::take(&mut self.held_out),
        };
        let line = serde_json::to_string(&epoch).map_err(Error::from);
        let written = line.and_then(|line| self.file.write_all(format!("{line}\n").as_bytes()));
        if let Err(error) = written
            && let Ok(mut failure) = self.failure.lock()
        {
            failure.get_or_insert(error);
        }
    }
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

    fn record(tail: &str, stage: Stage, subnet: Option<&str>) -> (tempfile::TempDir, StageRecord) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("metrics.jsonl");
        let mut text = String::new();
        for (stage, subnet, epoch) in LINES {
            let line = Epoch {
                stage: stage.into(),
                subnet: subnet.map(str::to_owned),
                epoch,
                seconds: epoch as f64,
                train: BTreeMap::from([("loss".to_owned(), Some(0.1))]),
                held_out: BTreeMap::new(),
            };
            text.push_str(&format!("{}\n", serde_json::to_string(&line).unwrap()));
        }
        std::fs::write(&path, text + tail).unwrap();
        (folder, StageRecord::new(path, stage, subnet))
    }

    #[test]
    fn a_torn_line_is_no_line() {
        for tail in ["", "{\"stage\": \"retr", "{", "\0\0\0"] {
            let (_folder, record) = record(tail, Stage::Retrain, Some("b"));
            assert_eq!((record.epochs().unwrap(), record.seconds().unwrap()), (2, 2.0));
            record.cut_back(1).unwrap();
            let text = std::fs::read_to_string(&record.path).unwrap();
            assert_eq!((text.lines().count(), record.epochs().unwrap()), (5, 1));
        }
        // Whole, but for its newline: it may be a part of a longer number.
        let (_folder, record) = record("", Stage::Retrain, Some("b"));
        let text = std::fs::read_to_string(&record.path).unwrap();
        std::fs::write(&record.path, text.trim_end()).unwrap();
        assert_eq!(record.epochs().unwrap(), 1);
    }

    #[test]
    fn cutting_back_removes_what_came_after() {
        let (_folder, record) = record("", Stage::Search, None);
        record.cut_back(0).unwrap();
        assert_eq!(record.lines().unwrap().len(), 2);
        let (_folder, record) = self::record("", Stage::Retrain, Some("c"));
        record.cut_back(0).unwrap();
        assert_eq!(record.lines().unwrap().len(), 6);
    }
}
