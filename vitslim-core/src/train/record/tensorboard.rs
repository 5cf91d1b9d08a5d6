//! Event files for TensorBoard.
//!
//! A file is a list of records. Each record is a protobuf message `Event`, framed by its length and checksums. The messages below
//! have the fields of TensorFlow's `event.proto` and `summary.proto` that are written here.

use std::fs::File;
use std::io::{Error, Write};
use std::path::{Path, PathBuf};

use prost::{Message, Oneof};

use super::mask_statistics::MaskStatistics;
use crate::whole_file::{make_folder, remove, sync_folder};

/// Name of the first file; a number is appended to those of others. TensorBoard reads every file that has `tfevents` in its name.
const FILE: &str = "events.out.tfevents.vitslim";

/// The format version, which is the first record of a file.
const VERSION: &str = "brain.Event:2";

/// Bytes of a record beside its data.
const FRAME: usize = 16;

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

/// Makes the event files in `folder` hold `points`, which grow from call to call. TensorBoard reads a file on from where it was, and
/// never looks back: so a file is appended to and never replaced, and where its end no longer holds, as after a run that went back to
/// an earlier epoch, it is cut back and what comes now goes to a new file.
///
/// # Errors
///
/// When a file cannot be read or written.
pub(super) fn write_events(folder: &Path, points: &[Point]) -> Result<(), Error> {
    make_folder(folder)?;
    let files = event_files(folder)?;
    let mut left = points;
    for (index, path) in files.iter().enumerate() {
        let there = std::fs::read(path)?;
        let begin = first_record(&there);
        let mut end = begin;
        while let Some((next, rest)) = left.split_first()
            && there[end..].starts_with(&record(&Event::from(next)))
        {
            end += record(&Event::from(next)).len();
            left = rest;
        }
        let torn = &there[end..];
        let is_last = index + 1 == files.len();
        if is_last && begin > 0 && records(left).starts_with(torn) {
            return append(path, &records(left)[torn.len()..]);
        }
        if !torn.is_empty() || begin == 0 {
            File::options().write(true).open(path)?.set_len(end as u64)?;
            files[index + 1..].iter().try_for_each(|path| remove(path))?;
            break;
        }
    }
    let time = left.first().map_or(0.0, |point| point.time);
    let version = Event { wall_time: time, step: 0, what: Some(What::FileVersion(VERSION.into())) };
    append(&folder.join(next_name(&files)), &[record(&version), records(left)].concat())
}

/// The event files in `folder`, in the order in which TensorBoard reads them.
fn event_files(folder: &Path) -> Result<Vec<PathBuf>, Error> {
    let entries = std::fs::read_dir(folder)?.map(|entry| Ok(entry?.path()));
    let mut files = entries.collect::<Result<Vec<_>, Error>>()?;
    files.retain(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(FILE)));
    files.sort();
    Ok(files)
}

/// A name that comes after those of `files`.
fn next_name(files: &[PathBuf]) -> String {
    let Some(last) = files.last() else { return FILE.to_owned() };
    let number = last.extension().and_then(|end| end.to_str()?.parse::<usize>().ok()).unwrap_or(0);
    format!("{FILE}.{:04}", number + 1)
}

/// Appends `bytes`, and waits until the disk has them: nothing writes the events of a complete run again.
fn append(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::options().create(true).append(true).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    path.parent().map_or(Ok(()), sync_folder)
}

/// Length of the first record of a file, the format version; 0 if there is no whole one.
fn first_record(file: &[u8]) -> usize {
    let Some(length) = file.first_chunk().map(|length| u64::from_le_bytes(*length)) else { return 0 };
    let length = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(FRAME);
    if length <= file.len() { length } else { 0 }
}

fn records(points: &[Point]) -> Vec<u8> {
    points.iter().flat_map(|point| record(&Event::from(point))).collect()
}

/// The record of `event`: the length of its data, the checksum of the length, the data, and their checksum.
fn record(event: &Event) -> Vec<u8> {
    let data = event.encode_to_vec();
    let length = (data.len() as u64).to_le_bytes();
    let [of_length, of_data] = [&length[..], &data].map(|bytes| checksum(bytes).to_le_bytes());
    [&length[..], &of_length, &data, &of_data].concat()
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
    use std::io::Read;

    use super::*;

    /// The records of a file whose checksums are right, up to the first that is not.
    fn read_records(mut bytes: &[u8]) -> Vec<Event> {
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
        write_events(folder.path(), &[point]).unwrap();
        let ours = std::fs::read(folder.path().join(FILE)).unwrap();
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
        write_events(&folder.path().join("logs"), &points).unwrap();
        let bytes = std::fs::read(folder.path().join("logs").join(FILE)).unwrap();
        let events = read_records(&bytes);
        assert_eq!(events[0].what, Some(What::FileVersion(VERSION.into())));
        assert_eq!(events[1..3], points[..2].iter().map(Event::from).collect::<Vec<_>>());
        let Some(What::Summary(summary)) = &events[3].what else { panic!("{:?}", events[3]) };
        assert!(matches!(summary.values[0].shown, Some(Shown::Scalar(value)) if value.is_nan()));
        assert_eq!(events.len(), 4);

        for place in [0, 9, 20, bytes.len() - 1] {
            let mut damaged = bytes.clone();
            damaged[place] ^= 1;
            assert!(read_records(&damaged).len() < 4, "a flipped bit in byte {place}");
        }
    }

    fn line(epoch: i64, value: f32) -> Point {
        point("train/loss", epoch, PointValue::Scalar(value))
    }

    /// The steps that the files in `folder` have, file by file.
    fn steps(folder: &Path) -> Vec<Vec<i64>> {
        let files = event_files(folder).unwrap();
        let of = |path: &PathBuf| {
            read_records(&std::fs::read(path).unwrap())[1..].iter().map(|event| event.step).collect()
        };
        files.iter().map(of).collect()
    }

    #[test]
    fn a_reader_that_has_the_file_open_gets_what_is_appended() {
        let folder = tempfile::tempdir().unwrap();
        let points: Vec<Point> = (1..=25).map(|epoch| line(epoch, 0.5)).collect();
        write_events(folder.path(), &points[..2]).unwrap();
        let mut open = File::open(folder.path().join(FILE)).unwrap();
        let mut bytes = Vec::new();
        open.read_to_end(&mut bytes).unwrap();
        for epochs in 3..=25 {
            write_events(folder.path(), &points[..epochs]).unwrap();
            open.read_to_end(&mut bytes).unwrap();
            assert_eq!(read_records(&bytes).len(), 1 + epochs);
        }
        assert_eq!(steps(folder.path()), [(1..=25).collect::<Vec<_>>()]);
    }

    #[test]
    fn wherever_it_is_cut_short_each_step_appears_once() {
        let points: Vec<Point> = (1..=4).map(|epoch| line(epoch, 0.5)).collect();
        let folder = tempfile::tempdir().unwrap();
        write_events(folder.path(), &points).unwrap();
        let whole = std::fs::read(folder.path().join(FILE)).unwrap();
        for length in 0..=whole.len() {
            let folder = tempfile::tempdir().unwrap();
            std::fs::write(folder.path().join(FILE), &whole[..length]).unwrap();
            write_events(folder.path(), &points).unwrap();
            let first = read_records(&std::fs::read(folder.path().join(FILE)).unwrap());
            if first.is_empty() {
                // Not even the format version was there.
                std::fs::remove_file(folder.path().join(FILE)).unwrap();
            }
            assert_eq!(steps(folder.path()).concat(), [1, 2, 3, 4], "{length} bytes");
        }
    }

    #[test]
    fn what_comes_after_a_run_went_back_is_in_a_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let mut points: Vec<Point> = (1..=4).map(|epoch| line(epoch, 0.5)).collect();
        write_events(folder.path(), &points).unwrap();
        points.truncate(2);
        points.push(line(3, 0.25));
        for _ in 0..2 {
            write_events(folder.path(), &points).unwrap();
            assert_eq!(steps(folder.path()), [vec![1, 2], vec![3]]);
        }
        points.push(line(4, 0.25));
        write_events(folder.path(), &points).unwrap();
        assert_eq!(steps(folder.path()), [vec![1, 2], vec![3, 4]]);
        // From the first epoch on.
        let points = [line(1, 0.125)];
        write_events(folder.path(), &points).unwrap();
        assert_eq!(steps(folder.path()), [vec![], vec![1]]);
        assert!(event_files(folder.path()).unwrap()[1].ends_with(format!("{FILE}.0002")));
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
