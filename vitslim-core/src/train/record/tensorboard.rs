//! Event files for TensorBoard.
//!
//! A file is a list of records. Each record is a protobuf message `Event`, framed by its length and checksums. The messages below
//! have the fields of TensorFlow's `event.proto` and `summary.proto` that are written here.

use std::io::Error;
use std::path::{Path, PathBuf};

use prost::{Message, Oneof};

use super::mask_statistics::MaskStatistics;
use crate::whole_file::write_whole;

/// Name of the file. TensorBoard reads every file that has `tfevents` in its name.
const FILE: &str = "events.out.tfevents.vitslim";

/// The format version, which is the first record of a file.
const VERSION: &str = "brain.Event:2";

/// A value of one series.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    /// Name of the series. A prefix before `/` groups several: `search/loss`.
    pub(super) tag: String,
    /// Position on the horizontal axis.
    pub(super) step: i64,
    /// Seconds since the stage began, so that two equal runs write files that differ only in how long the run took.
    pub(super) time: f64,
    /// What to show at this step.
    pub(super) value: PointValue,
}

/// What a [`Point`] shows.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum PointValue {
    /// A number.
    Scalar(f32),
    /// The distribution of masks.
    Histogram(MaskStatistics),
}

/// Writes `points` to an event file in `folder`, replacing an earlier one, and returns its path.
///
/// # Errors
///
/// When the file cannot be written.
pub(super) fn write_events(folder: &Path, points: &[Point]) -> Result<PathBuf, Error> {
    let start = points.first().map_or(0.0, |point| point.time);
    let version = Event { wall_time: start, step: 0, what: Some(What::FileVersion(VERSION.into())) };
    let mut bytes = Vec::new();
    for event in std::iter::once(version).chain(points.iter().map(Event::from)) {
        append_record(&mut bytes, &event.encode_to_vec());
    }
    let path = folder.join(FILE);
    write_whole(&path, &bytes)?;
    Ok(path)
}

/// Appends the length of `data`, the checksum of the length, `data`, and the checksum of `data`.
fn append_record(bytes: &mut Vec<u8>, data: &[u8]) {
    let length = (data.len() as u64).to_le_bytes();
    bytes.extend(length);
    bytes.extend(checksum(&length).to_le_bytes());
    bytes.extend(data);
    bytes.extend(checksum(data).to_le_bytes());
}

/// CRC-32C, masked, since a checksum of bytes that contain checksums would be a poor one.
fn checksum(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes).rotate_right(15).wrapping_add(0xa282_ead8)
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(oneof = "What", tags = "3, 5")]
    what: Option<What>,
}

#[derive(Clone, PartialEq, Oneof)]
enum What {
    #[prost(string, tag = "3")]
    FileVersion(String),
    #[prost(message, tag = "5")]
    Summary(Summary),
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    #[prost(oneof = "Shown", tags = "2, 5")]
    shown: Option<Shown>,
}

#[derive(Clone, PartialEq, Oneof)]
enum Shown {
    #[prost(float, tag = "2")]
    Scalar(f32),
    #[prost(message, tag = "5")]
    Histogram(Histogram),
}

#[derive(Clone, PartialEq, Message)]
struct Histogram {
    #[prost(double, tag = "1")]
    min: f64,
    #[prost(double, tag = "2")]
    max: f64,
    #[prost(double, tag = "3")]
    count: f64,
    #[prost(double, tag = "4")]
    sum: f64,
    #[prost(double, tag = "5")]
    sum_of_squares: f64,
    /// Upper end of each bucket.
    #[prost(double, repeated, tag = "6")]
    limits: Vec<f64>,
    /// Number of values in each bucket.
    #[prost(double, repeated, tag = "7")]
    counts: Vec<f64>,
}

impl From<&Point> for Event {
    fn from(point: &Point) -> Self {
        let shown = match &point.value {
            PointValue::Scalar(value) => Shown::Scalar(*value),
            PointValue::Histogram(masks) => Shown::Histogram(Histogram::from(masks)),
        };
        let value = Value { tag: point.tag.clone(), shown: Some(shown) };
        let what = What::Summary(Summary { values: vec![value] });
        Self { wall_time: point.time, step: point.step, what: Some(what) }
    }
}

impl From<&MaskStatistics> for Histogram {
    /// Squares are estimated from the middles of the bins.
    fn from(masks: &MaskStatistics) -> Self {
        let MaskStatistics { mean, histogram: bins, .. } = masks;
        let count: usize = bins.counts.iter().sum();
        let width = (bins.max - bins.min) / bins.counts.len() as f64;
        let place = |bin: f64| bins.min + bin * width;
        let squares = bins.counts.iter().zip(0..).map(|(&count, bin)| {
            let middle = place(f64::from(bin) + 0.5);
            count as f64 * middle * middle
        });
        Self {
            min: bins.min,
            max: bins.max,
            count: count as f64,
            sum: mean * count as f64,
            sum_of_squares: squares.sum(),
            limits: (1..=bins.counts.len()).map(|bin| place(bin as f64)).collect(),
            counts: bins.counts.iter().map(|&count| count as f64).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of a file whose checksums are right, up to the first that is not.
    fn records(mut bytes: &[u8]) -> Vec<Event> {
        let mut events = Vec::new();
        let number = |bytes: &[u8]| u32::from_le_bytes(bytes.try_into().unwrap());
        while bytes.len() > 16 {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            if checksum(&bytes[..8]) != number(&bytes[8..12]) {
                break;
            }
            let (data, rest) = bytes[12..].split_at(length);
            if checksum(data) != number(&rest[..4]) {
                break;
            }
            events.push(Event::decode(data).unwrap());
            bytes = &rest[4..];
        }
        events
    }

    fn point(tag: &str, step: i64, value: PointValue) -> Point {
        Point { tag: tag.into(), step, time: 1.5 + step as f64 / 3.0, value }
    }

    #[test]
    fn a_file_is_as_tensorboards_own_writer_has_it() {
        // Written by `RecordWriter` and the messages of the Python package tensorboard 2.21.
        let theirs = "1800000000000000a37f4b220900000000000004401a0d627261696e2e4576656e743a32b19bcaec2100000000000000\
                      017becf609000000000000044010032a140a120a0b7365617263682f6c6f7373150000803e92cd5c03";
        let folder = tempfile::tempdir().unwrap();
        let value = PointValue::Scalar(0.25);
        let point = Point { tag: "search/loss".into(), step: 3, time: 2.5, value };
        let ours = std::fs::read(write_events(folder.path(), &[point]).unwrap()).unwrap();
        let hex: String = ours.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex, theirs);
    }

    #[test]
    fn what_is_written_reads_back_and_damage_shows() {
        let folder = tempfile::tempdir().unwrap();
        let masks = MaskStatistics::of(&[-1.0, 0.0, 0.5, 1.0, 2.0]).unwrap();
        let points = [
            point("pretrain/loss", 1, PointValue::Scalar(2.5)),
            point("search/masks/hidden", 2, PointValue::Histogram(masks)),
            point("search/penalty", 3, PointValue::Scalar(f32::NAN)),
        ];
        let path = write_events(&folder.path().join("logs"), &points).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let events = records(&bytes);
        assert_eq!(events[0].what, Some(What::FileVersion(VERSION.into())));
        assert_eq!(events[1..3], points[..2].iter().map(Event::from).collect::<Vec<_>>());
        let Some(What::Summary(summary)) = &events[3].what else { panic!("{:?}", events[3]) };
        assert!(matches!(summary.values[0].shown, Some(Shown::Scalar(value)) if value.is_nan()));
        assert_eq!(events.len(), 4);

        for place in [0, 9, 20, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(records(&damaged).len() < 4, "a flipped bit in byte {place}");
        }
        // A second file replaces it.
        write_events(&folder.path().join("logs"), &points[..1]).unwrap();
        assert_eq!(records(&std::fs::read(&path).unwrap()).len(), 2);
    }

    #[test]
    fn a_histogram_has_the_bins_of_the_masks() {
        let histogram = Histogram::from(&MaskStatistics::of(&[0.0, 0.05, 1.0, 1.0, 3.0]).unwrap());
        assert_eq!((histogram.min, histogram.max, histogram.count), (0.0, 3.0, 5.0));
        assert!((histogram.sum - 5.05).abs() < 1e-12);
        assert_eq!((histogram.counts.len(), histogram.limits.len()), (20, 20));
        assert_eq!((histogram.counts[0], histogram.counts[6], histogram.counts[19]), (2.0, 2.0, 1.0));
        assert!((histogram.limits[0] - 0.15).abs() < 1e-12 && (histogram.limits[19] - 3.0).abs() < 1e-12);
    }
}
