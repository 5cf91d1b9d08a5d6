//! What steps measured. It stays on the device until a line of the record needs it, so that no step waits for the one before.

use std::fmt;

use burn::tensor::{ExecutionError, Tensor};
use thiserror::Error;

use super::{Values, value};

/// Losses and numbers of right predictions, step by step.
pub(in crate::train) struct Meter {
    /// Number of steps that may stay on the device unread.
    most: usize,
    unread: Vec<Unread>,
    since_line: Sums,
    since_epoch: Sums,
    reads: usize,
}

struct Unread {
    place: Place,
    images: usize,
    /// Loss, penalty and number of right predictions, `[3]`.
    measured: Tensor<1>,
}

/// A step of a stage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Place {
    /// Epoch, from 1.
    pub epoch: usize,
    /// Step of that epoch, from 1.
    pub step: usize,
    /// Learning rate of the step; where parameters differ, the rate of most of them.
    pub learning_rate: f64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "step {} of epoch {}", self.step, self.epoch)
    }
}

/// Why measurements could not be used.
#[derive(Debug, Error)]
pub(in crate::train) enum MeterError {
    /// A loss is not finite; this is the first among the steps that were not read yet.
    #[error("the loss is {loss}")]
    NotFinite { place: Place, loss: f64 },
    /// The device failed.
    #[error(transparent)]
    Device(#[from] ExecutionError),
}

#[derive(Default)]
struct Sums {
    steps: usize,
    images: usize,
    /// Sum over steps of the value times the number of images.
    loss: f64,
    /// Sum over the steps.
    penalty: f64,
    right: f64,
}

impl Meter {
    /// A meter that leaves up to `most` steps on the device, at least 1.
    pub(in crate::train) fn new(most: usize) -> Self {
        Self { most, unread: Vec::new(), since_line: Sums::default(), since_epoch: Sums::default(), reads: 0 }
    }

    /// Adds a step of `images` images, which `measured` loss of the labels, penalty and number of right predictions, `[3]`.
    pub(in crate::train) fn add(&mut self, place: Place, images: usize, measured: Tensor<1>) {
        self.unread.push(Unread { place, images, measured });
    }

    /// Whether it has to be read before the next step.
    pub(in crate::train) fn is_full(&self) -> bool {
        self.unread.len() >= self.most
    }

    /// Waits for the device to finish all steps that were added, and reads what they measured.
    ///
    /// # Errors
    ///
    /// When a loss is not finite, or the device failed.
    pub(in crate::train) fn read(&mut self) -> Result<(), MeterError> {
        let unread = std::mem::take(&mut self.unread);
        if unread.is_empty() {
            return Ok(());
        }
        self.reads += 1;
        let measured = unread.iter().map(|step| step.measured.clone()).collect();
        let values: Vec<f64> = Tensor::cat(measured, 0).try_into_data()?.iter::<f64>().collect();
        for (Unread { place, images, .. }, measured) in unread.iter().zip(values.chunks_exact(3)) {
            let (of_labels, penalty, right) = (measured[0], measured[1], measured[2]);
            let loss = of_labels + penalty;
            if !loss.is_finite() {
                return Err(MeterError::NotFinite { place: *place, loss });
            }
            for sums in [&mut self.since_line, &mut self.since_epoch] {
                sums.steps += 1;
                sums.images += images;
                sums.loss += of_labels * *images as f64;
                sums.penalty += penalty;
                sums.right += right;
            }
        }
        Ok(())
    }

    /// The mean loss of the epoch so far, over the steps that were read.
    pub(in crate::train) fn loss(&self) -> Option<f64> {
        (self.since_epoch.images > 0).then(|| self.since_epoch.loss / self.since_epoch.images as f64)
    }

    /// Means since the last line, over the steps that were read.
    pub(in crate::train) fn take_line(&mut self) -> Values {
        std::mem::take(&mut self.since_line).means()
    }

    /// Means of the epoch that ended, over the steps that were read. Starts a new epoch.
    pub(in crate::train) fn take_epoch(&mut self) -> Values {
        self.since_line = Sums::default();
        std::mem::take(&mut self.since_epoch).means()
    }

    /// How often it has waited for the device.
    #[cfg(test)]
    pub(in crate::train) fn reads(&self) -> usize {
        self.reads
    }
}

impl Sums {
    fn means(&self) -> Values {
        if self.steps == 0 {
            return Values::new();
        }
        let images = self.images as f64;
        Values::from([
            value("loss", self.loss / images),
            value("penalty", self.penalty / self.steps as f64),
            value("top1", self.right / images),
        ])
    }
}

#[cfg(test)]
mod tests {
    use burn::tensor::Device;

    use super::*;

    fn add(meter: &mut Meter, step: usize, images: usize, measured: [f32; 3]) {
        meter.add(
            Place { epoch: 1, step, learning_rate: 0.1 },
            images,
            Tensor::from_floats(measured, &Device::flex()),
        );
    }

    fn values(values: [f64; 3]) -> Values {
        ["loss", "penalty", "top1"].into_iter().zip(values).map(|(name, mean)| value(name, mean)).collect()
    }

    #[test]
    fn a_short_batch_counts_for_its_images_only() {
        let mut meter = Meter::new(10);
        add(&mut meter, 1, 3, [1.0, 0.5, 3.0]);
        add(&mut meter, 2, 1, [5.0, 0.25, 0.0]);
        assert_eq!((meter.loss(), meter.reads()), (None, 0));
        meter.read().unwrap();
        assert_eq!((meter.loss(), meter.reads()), (Some(2.0), 1));
        assert_eq!(meter.take_line(), values([2.0, 0.375, 0.75]));
        assert_eq!(meter.take_line(), Values::new());
    }

    #[test]
    fn an_epoch_ends_what_is_gathered_for_its_next_line() {
        let mut meter = Meter::new(10);
        add(&mut meter, 1, 2, [1.0, 0.0, 1.0]);
        meter.read().unwrap();
        meter.take_line();
        add(&mut meter, 2, 2, [3.0, 0.0, 2.0]);
        meter.read().unwrap();
        assert_eq!(meter.take_epoch(), values([2.0, 0.0, 0.75]));
        assert_eq!(meter.take_line(), Values::new());
        assert_eq!(meter.loss(), None);
    }

    #[test]
    fn it_is_full_with_as_many_steps_as_it_may_hold_and_names_the_first_that_is_not_finite() {
        let mut meter = Meter::new(3);
        for (step, loss) in [(1, 1.0), (2, f32::NAN), (3, f32::INFINITY)] {
            assert!(!meter.is_full());
            add(&mut meter, step, 1, [loss, 0.0, 0.0]);
        }
        assert!(meter.is_full());
        let Err(MeterError::NotFinite { place, loss }) = meter.read() else { panic!("it is finite") };
        assert_eq!(place, Place { epoch: 1, step: 2, learning_rate: 0.1 });
        assert!(loss.is_nan());
    }
}
