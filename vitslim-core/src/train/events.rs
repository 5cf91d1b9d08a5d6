//! The record of a stage as TensorBoard shows it.

use std::path::{Path, PathBuf};

use super::TrainError;
use super::record::{Entry, StageRecord};
use super::tensorboard::{Point, PointValue, write_events};

/// Writes the event file of a stage anew from its lines in `metrics.jsonl`, so that both always say the same, also after a
/// restart. A stage is a run of TensorBoard's: `pretrain`, `search`, `retrain/share-0.5`.
pub(super) fn write_stage_events(run: &Path, record: &StageRecord) -> Result<(), TrainError> {
    let folder = record
        .subnet()
        .map_or_else(|| PathBuf::from(record.stage()), |subnet| Path::new(record.stage()).join(subnet));
    let folder = run.join("tensorboard").join(folder);
    let entries = record.entries().map_err(|error| record.error(error))?;
    let points: Vec<Point> = entries.iter().flat_map(points).collect();
    write_events(&folder, &points).map_err(|source| TrainError::File { path: folder, source })?;
    Ok(())
}

/// What a line says, by epoch or by step.
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
