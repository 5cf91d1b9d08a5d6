//! How far the logits of two models differ, and how fast the models are.

use std::time::{Duration, Instant};

use burn::tensor::{Device, Tensor, TensorData, TensorReadError};
use miette::Diagnostic;
use thiserror::Error;

use super::loss::cross_entropy;
use super::memory::{catch_out_of_memory, is_out_of_memory};
use crate::data::{Batch, DataError, Split};
use crate::device::on_compute_thread;
use crate::models::Architecture;
use crate::nn::Precision;
use crate::panics::as_part;

/// Batch in which images are evaluated.
pub(crate) const BATCH: usize = 128;

/// Batch at which [`throughput`] measures.
pub const THROUGHPUT_BATCH: usize = 64;

/// A model that could not be evaluated.
#[derive(Debug, Error, Diagnostic)]
pub enum EvaluateError {
    /// Logits are not finite.
    #[error("the network's logits are not finite: its training diverged; try a lower learning rate")]
    NotFinite,
    /// An image cannot be read.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Data(#[from] DataError),
    /// The device ran out of memory.
    #[error("the device ran out of memory, with {0} images at once")]
    #[diagnostic(help("free some of the device's memory, or choose another device with `--device`"))]
    OutOfMemory(usize),
    /// The device failed.
    #[error("the device could not return the results: {0}")]
    Device(String),
}

impl EvaluateError {
    /// The error of a device that failed for `reason`, with `images` at once.
    pub(super) fn device(reason: impl ToString, images: usize) -> Self {
        let reason = reason.to_string();
        if is_out_of_memory(&reason) { Self::OutOfMemory(images) } else { Self::Device(reason) }
    }
}

/// Largest absolute difference between the logits of two models on the first `images` images of `split`, relative to the largest
/// absolute logit of the first. Both are computed in f32, so that only the models differ.
///
/// # Errors
///
/// When a logit is not finite, an image cannot be read, or the device fails.
pub fn difference<M: Architecture>(
    reference: &M,
    other: &M,
    split: &Split,
    images: usize,
    device: &Device,
) -> Result<f64, EvaluateError> {
    let indices: Vec<usize> = (0..split.len().min(images)).collect();
    let (mut difference, mut scale) = (0.0_f64, 0.0_f64);
    for indices in indices.chunks(BATCH) {
        let Some(images) = split.images(indices, device)? else { continue };
        let reference = logits(reference, images.clone(), Precision::F32)?;
        let other = logits(other, images, Precision::F32)?;
        for (a, b) in reference.into_iter().zip(other) {
            difference = difference.max((a - b).abs());
            scale = scale.max(a.abs());
        }
    }
    Ok(if scale > 0.0 { difference / scale } else { difference })
}

/// The logits of `model`, computed in `precision`, for each image of `batch`, and their mean cross entropy. Both must be finite.
pub(super) fn answers<M: Architecture>(
    model: &M,
    batch: &Batch,
    precision: Precision,
) -> Result<(Vec<f64>, f64), EvaluateError> {
    let (device, images) = (batch.images.device(), batch.len());
    let (model, batch) = (model.clone(), batch.clone());
    let forward = move || -> Result<_, TensorReadError> {
        let logits = precision.within(|| model.forward(batch.images));
        let loss = cross_entropy(&logits, &batch.labels, 0.0);
        let logits = logits.mean().try_into_data()?;
        Ok((logits, loss.try_into_scalar::<f64>()?))
    };
    let (logits, loss) = computed(&device, images, forward)?;
    Ok((finite(logits)?, loss))
}

/// The logits of `model`, computed in `precision`, for each of `images`. They must be finite.
fn logits<M: Architecture>(
    model: &M,
    images: Tensor<4>,
    precision: Precision,
) -> Result<Vec<f64>, EvaluateError> {
    finite(read(model, images, precision)?)
}

/// The values of `logits`, which must be finite.
fn finite(logits: TensorData) -> Result<Vec<f64>, EvaluateError> {
    let values = logits.convert::<f64>().try_into_vec::<f64>();
    let values = values.map_err(|error| EvaluateError::Device(error.to_string()))?;
    match values.iter().all(|value| value.is_finite()) {
        true => Ok(values),
        false => Err(EvaluateError::NotFinite),
    }
}

/// The logits of `model`, computed in `precision`, for `images`: `[batch, classes]`. Waits for the device.
///
/// # Errors
///
/// When the device fails.
pub(crate) fn read<M: Architecture>(
    model: &M,
    images: Tensor<4>,
    precision: Precision,
) -> Result<TensorData, EvaluateError> {
    let (device, count, model) = (images.device(), images.dims()[0], model.clone());
    computed(&device, count, move || precision.within(|| model.forward(images).mean().try_into_data()))
}

/// What `work` reads of what it computes on `device`, of so many `images` at once.
///
/// # Errors
///
/// When the device fails.
pub(crate) fn computed<T: Send, R: ToString + Send>(
    device: &Device,
    images: usize,
    work: impl FnOnce() -> Result<T, R> + Send,
) -> Result<T, EvaluateError> {
    catch_out_of_memory(|| on_compute_thread(device, as_part(work)))
        .map_err(|_| EvaluateError::OutOfMemory(images))?
        .map_err(|error| EvaluateError::device(error, images))
}

/// Images per second of `dense` and of `subnet` in `precision` at a batch of [`THROUGHPUT_BATCH`]: medians of interleaved runs,
/// so that noise of the machine affects both.
///
/// # Errors
///
/// When a logit is not finite, an image cannot be read, or the device fails.
pub fn throughput<M: Architecture>(
    dense: &M,
    subnet: &M,
    split: &Split,
    precision: Precision,
    device: &Device,
) -> Result<[f64; 2], EvaluateError> {
    let (images, _) = split.first(THROUGHPUT_BATCH, device)?;
    for model in [dense, subnet] {
        logits(model, images.clone(), precision)?;
    }
    let seconds = latencies([dense, subnet], &images, precision)?;
    Ok(seconds.map(|seconds| THROUGHPUT_BATCH as f64 / seconds))
}

/// Seconds that a forward pass of each of `models` takes in `precision` on all of `images` at once: medians of interleaved runs.
///
/// # Errors
///
/// When the device fails.
pub(crate) fn latencies<M: Architecture, const N: usize>(
    models: [&M; N],
    images: &Tensor<4>,
    precision: Precision,
) -> Result<[f64; N], EvaluateError> {
    const ROUNDS: std::ops::Range<usize> = 5..200;
    const ENOUGH: Duration = Duration::from_millis(1500);

    let mut times = [const { Vec::new() }; N];
    let started = Instant::now();
    // The first round warms up and is not counted.
    for round in 0..=ROUNDS.end {
        for (times, model) in times.iter_mut().zip(models) {
            let started = Instant::now();
            read(model, images.clone(), precision)?;
            if round > 0 {
                times.push(started.elapsed().as_secs_f64());
            }
        }
        if round >= ROUNDS.start && started.elapsed() > ENOUGH {
            break;
        }
    }
    Ok(times.map(median))
}

pub(crate) fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    let middle = times.len() / 2;
    if times.len() % 2 == 1 { times[middle] } else { (times[middle - 1] + times[middle]) / 2.0 }
}

#[cfg(test)]
mod tests {
    use super::{EvaluateError, median};

    #[test]
    fn a_device_without_memory_is_told_from_one_that_fails() {
        let error =
            |reason: &str| EvaluateError::device(format!("An error happened\nCaused by:\n  {reason}"), 3);
        let full = error("out of device memory allocating 524288 bytes");
        assert!(matches!(full, EvaluateError::OutOfMemory(3)), "{full}");
        let poisoned = error("the device is poisoned");
        assert!(matches!(poisoned, EvaluateError::Device(_)), "{poisoned}");
    }

    #[test]
    fn median_of_odd_and_even_counts() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 2.0, 3.0]), 2.5);
    }
}
