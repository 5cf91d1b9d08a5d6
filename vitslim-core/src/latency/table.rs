//! The measured times of operations, kept from one command to the next.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use burn::tensor::Device;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::clock::{Clock, DeviceClock, TimeError};
use crate::data::Cache;
use crate::device::{instructions, is_cpu, processor};
use crate::graph::Operation;
use crate::nn::Precision;
use crate::progress::Progress;

/// How a table is written, and how its times are measured: raise it with each change of either.
const FORMAT: &str = "vitslim latencies 1";

/// The times of operations on one device.
#[derive(Debug)]
pub(crate) struct Table {
    clock: Box<dyn Clock>,
    cache: Cache,
    /// What the times are of.
    device: String,
    quiet: bool,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    seconds: HashMap<Operation, f64>,
    /// Tells what was measured since it was last written.
    measured: Option<Progress>,
}

/// A table as it is written.
#[derive(Serialize, Deserialize)]
struct Written {
    format: String,
    device: String,
    seconds: Vec<(Operation, f64)>,
}

impl Table {
    /// Of `device` in `precision`, with what `cache` has of it. What is not the CPU is known by its `name`. If `quiet`, it is not told how
    /// far measuring is.
    pub(crate) fn of(device: &Device, name: &str, precision: Precision, cache: Cache, quiet: bool) -> Self {
        let processor = || {
            let threads = rayon::current_num_threads();
            format!("{}, {threads} threads, {}", processor(), instructions())
        };
        let name = if is_cpu(device) { processor() } else { name.to_owned() };
        // A build for tests is slower.
        let build = if cfg!(debug_assertions) { "debug" } else { "release" };
        let described = format!("{name}, {precision:?}, vitslim {} {build}", env!("CARGO_PKG_VERSION"));
        Self { quiet, ..Self::by(DeviceClock { device: device.clone(), precision }, described, cache) }
    }

    /// With what `cache` has of `device`, and what `clock` says of other operations.
    pub(crate) fn by(clock: impl Clock + 'static, device: String, cache: Cache) -> Self {
        let known = read(&cache, &device).into_iter().collect();
        let known = Mutex::new(Known { seconds: known, measured: None });
        Self { clock: Box::new(clock), cache, device, quiet: true, known }
    }

    /// Seconds that `operation` takes.
    ///
    /// # Errors
    ///
    /// When it is not known and cannot be measured.
    pub(crate) fn seconds(&self, operation: &Operation) -> Result<f64, TimeError> {
        if let Some(seconds) = self.known().seconds.get(operation) {
            return Ok(*seconds);
        }
        let seconds = self.clock.seconds(operation)?;
        let mut known = self.known();
        let work = "measuring how long operations take";
        known.measured.get_or_insert_with(|| Progress::new(work, None, self.quiet)).add();
        known.seconds.insert(operation.clone(), seconds);
        Ok(seconds)
    }

    /// Keeps what was measured, beside what other processes have kept meanwhile.
    pub(crate) fn save(&self) {
        let mut known = self.known();
        if known.measured.take().is_none() {
            return;
        }
        let mut all: HashMap<Operation, f64> = read(&self.cache, &self.device).into_iter().collect();
        all.extend(known.seconds.clone());
        let seconds = all.into_iter().collect();
        let written = Written { format: FORMAT.to_owned(), device: self.device.clone(), seconds };
        // Nothing in it can fail to be written.
        if let Ok(bytes) = postcard::to_extend(&written, Vec::new()) {
            self.cache.write(&file(&self.device), bytes);
        }
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        // No panic leaves it half changed.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn file(device: &str) -> String {
    Cache::name("latency", Sha256::new_with_prefix(device))
}

/// What `cache` has of `device`; nothing if another version wrote it, or it is damaged.
fn read(cache: &Cache, device: &str) -> Vec<(Operation, f64)> {
    let written = cache.read(&file(device));
    let written: Option<Written> = written.and_then(|bytes| postcard::from_bytes(&bytes).ok());
    let written = written.filter(|written| written.format == FORMAT && written.device == device);
    let mut seconds = written.map_or_else(Vec::new, |written| written.seconds);
    seconds.retain(|(_, seconds)| seconds.is_finite() && *seconds >= 0.0);
    seconds
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    /// Says that every operation takes as many seconds as it was asked before.
    #[derive(Debug, Default)]
    struct Counting(Arc<AtomicUsize>);

    impl Clock for Counting {
        fn seconds(&self, _: &Operation) -> Result<f64, TimeError> {
            Ok(self.0.fetch_add(1, Ordering::Relaxed) as f64)
        }
    }

    fn operation(values: usize) -> Operation {
        Operation::Elements { values }
    }

    #[test]
    fn each_operation_is_measured_once_and_kept_for_the_device_that_it_was_measured_on() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::at(folder.path());
        let table = |device: &str| {
            let clock = Counting::default();
            (clock.0.clone(), Table::by(clock, device.to_owned(), cache.clone()))
        };
        let (count, first) = table("a");
        let (_, beside) = table("a");
        assert_eq!(
            [1, 2, 1, 2].map(|values| first.seconds(&operation(values)).unwrap()),
            [0.0, 1.0, 0.0, 1.0]
        );
        assert_eq!(count.load(Ordering::Relaxed), 2);
        assert!(first.known().measured.is_some());
        first.save();
        assert!(first.known().measured.is_none(), "the line stays on the terminal");
        // What another process measured at the same time stays.
        beside.seconds(&operation(3)).unwrap();
        beside.save();
        let (count, again) = table("a");
        assert_eq!([1, 2, 3].map(|values| again.seconds(&operation(values)).unwrap()), [0.0, 1.0, 0.0]);
        assert_eq!(count.load(Ordering::Relaxed), 0);

        let (count, other) = table("b");
        other.seconds(&operation(1)).unwrap();
        assert_eq!(count.load(Ordering::Relaxed), 1, "of another device");
        // One that was put in its place, and one that is damaged.
        std::fs::copy(folder.path().join(file("a")), folder.path().join(file("b"))).unwrap();
        assert!(read(&cache, "b").is_empty());
        std::fs::write(folder.path().join(file("a")), "damaged").unwrap();
        assert!(read(&cache, "a").is_empty());
    }
}
