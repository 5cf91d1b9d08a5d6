//! The record of a stage as an event file for TensorBoard.

use std::path::{Path, PathBuf};

use super::tensorboard::{Point, PointValue, write_events};
use super::{Entry, StageRecord};
use crate::train::TrainError;

/// Brings the event files of a stage up to its lines in `metrics.jsonl`, so that the two always agree, also after a restart. In
/// TensorBoard each stage is a run: `pretrain`, `search`, `retrain/share-0.5`.
pub(in crate::train) fn write_stage_events(run: &Path, record: &StageRecord) -> Result<(), TrainError> {
    let folder = run.join(events_folder(record.stage(), record.subnet()));
    let entries = record.entries().map_err(|error| record.error(error))?;
    let points: Vec<Point> = entries.iter().flat_map(points).collect();
    write_events(&folder, &points).map_err(|source| TrainError::File { path: folder, source })
}

/// Path of the stage's event files in the run's folder.
pub(crate) fn events_folder(stage: &str, subnet: Option<&str>) -> PathBuf {
    let folder = Path::new("tensorboard").join(stage);
    subnet.map_or(folder.clone(), |subnet| folder.join(subnet))
}

/// The values of a line, over epochs or over steps.
fn points(entry: &Entry) -> Vec<Point> {
    let (step, groups) = match entry.step {
        Some(step) => (step, vec![("steps", &entry.train)]),
        None => (entry.epoch, vec![("train", &entry.train), ("held_out", &entry.held_out)]),
    };
    let point = |tag: String, value: PointValue| Point { tag, step: step as i64, time: entry.seconds, value };
    let mut points = Vec::new();
    for (group, values) in groups {
        for (name, value) in values {
            let value = value.unwrap_or(f64::NAN) as f32;
            points.push(point(format!("{group}/{name}"), PointValue::Scalar(value)));
        }
    }
    if entry.step.is_none() {
        for (dimension, masks) in &entry.masks {
            points.push(point(format!("masks/{dimension}"), PointValue::Histogram(masks.clone())));
            let mean = PointValue::Scalar(masks.mean as f32);
            points.push(point(format!("masks_mean/{dimension}"), mean));
            let share = PointValue::Scalar(masks.share_under_0_05 as f32);
            points.push(point(format!("masks_under_0.05/{dimension}"), share));
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::train::record::mask_statistics::MaskStatistics;

    #[test]
    fn epochs_and_steps_have_series_of_their_own() {
        let values = |value: f64| BTreeMap::from([("loss".to_owned(), Some(value))]);
        let masks = MaskStatistics::of(&[0.0, 1.0]).unwrap();
        let epoch = Entry {
            epoch: 2,
            step: None,
            seconds: 7.0,
            train: values(0.5),
            held_out: values(0.25),
            masks: BTreeMap::from([("a.hidden".to_owned(), masks.clone())]),
        };
        let told = |entry: &Entry| -> Vec<(String, i64, PointValue)> {
            points(entry).into_iter().map(|point| (point.tag, point.step, point.value)).collect()
        };
        let scalar = |tag: &str, step: i64, value: f32| (tag.to_owned(), step, PointValue::Scalar(value));
        let expected = [
            scalar("train/loss", 2, 0.5),
            scalar("held_out/loss", 2, 0.25),
            ("masks/a.hidden".to_owned(), 2, PointValue::Histogram(masks)),
            scalar("masks_mean/a.hidden", 2, 0.5),
            scalar("masks_under_0.05/a.hidden", 2, 0.5),
        ];
        assert_eq!(told(&epoch), expected);
        let step = Entry { step: Some(30), held_out: BTreeMap::new(), ..epoch };
        assert_eq!(told(&step), [scalar("steps/loss", 30, 0.5)]);
    }
}
