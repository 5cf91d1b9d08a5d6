//! Measures an operation by repeating it, through the functions that layers call.

use std::fmt;
use std::ops::Range;
use std::time::{Duration, Instant};

use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Tensor};
use thiserror::Error;

use crate::device::on_compute_thread;
use crate::graph::{ConvWindow, Operation};
use crate::nn::{Gelu, LayerNorm, LayerNormConfig, Precision, product};
use crate::panics::{as_part, attempt};
use crate::slim::HeadLayout;

/// Seconds of a round, so that the clock and the wait at its end do not matter: an operation that takes less is repeated.
const ROUND: f64 = 3e-4;

/// Most repetitions in a round.
const MOST_REPETITIONS: f64 = 100.0;

/// Rounds, after two that warm up. The fastest counts, since whatever else the machine does makes a round slower; until another one is as
/// fast, there are more.
const ROUNDS: Range<usize> = 5..40;

/// What a round may take of the time of another one that is as fast.
const AS_FAST: f64 = 1.02;

/// Time after which there are no more rounds than the first ones.
const LONG: Duration = Duration::from_millis(200);

/// An operation that could not be measured.
#[derive(Debug, Error)]
#[error("the time of an operation cannot be measured on this device ({said}): {operation:?}")]
pub struct TimeError {
    operation: Box<Operation>,
    /// The message of the panic, or of the device.
    said: String,
}

/// Says how long operations take.
pub(crate) trait Clock: fmt::Debug + Send + Sync {
    /// Seconds that `operation` takes.
    ///
    /// # Errors
    ///
    /// When it fails.
    fn seconds(&self, operation: &Operation) -> Result<f64, TimeError>;
}

/// Measures on a device; with autodiff, the backward pass too.
#[derive(Debug)]
pub(crate) struct DeviceClock {
    pub(crate) device: Device,
    pub(crate) precision: Precision,
}

impl Clock for DeviceClock {
    fn seconds(&self, operation: &Operation) -> Result<f64, TimeError> {
        let Self { device, precision } = self;
        let measured = as_part(|| precision.within(|| fastest(operation, device)));
        let failed = |said| TimeError { operation: Box::new(operation.clone()), said };
        attempt(|| on_compute_thread(device, measured)).and_then(|seconds| seconds).map_err(failed)
    }
}

fn fastest(operation: &Operation, device: &Device) -> Result<f64, String> {
    let once = replayed(operation, device)?;
    let round = |repetitions: usize| {
        let started = Instant::now();
        (0..repetitions).for_each(|_| once());
        device.sync().map_err(|error| error.to_string())?;
        Ok::<_, String>(started.elapsed().as_secs_f64() / repetitions as f64)
    };
    // A device may compile the operation, and allocate.
    round(1)?;
    let one = round(1)?.max(f64::MIN_POSITIVE);
    let repetitions = (ROUND / one).ceil().clamp(1.0, MOST_REPETITIONS) as usize;
    let (mut fastest, mut second) = (f64::INFINITY, f64::INFINITY);
    let started = Instant::now();
    for number in 0..ROUNDS.end {
        if number >= ROUNDS.start && (second <= AS_FAST * fastest || started.elapsed() > LONG) {
            break;
        }
        let seconds = round(repetitions)?;
        second = second.min(seconds.max(fastest));
        fastest = fastest.min(seconds);
    }
    Ok(fastest)
}

/// A factor of this shape.
fn ones<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let ones = Tensor::ones(shape, device);
    if device.is_autodiff() { ones.require_grad() } else { ones }
}

/// Computes what `output` lacks: the gradients of its factors, if they have any.
fn completed<const D: usize>(output: Tensor<D>) {
    if output.is_tracked() {
        drop(output.backward());
    }
}

/// Computes `operation` on tensors of its shapes, each time it is called.
fn replayed(operation: &Operation, device: &Device) -> Result<Box<dyn Fn()>, String> {
    Ok(match *operation {
        Operation::Linear { x, d_output, bias } => {
            let weight = ones([x[2], d_output], device);
            let (x, bias) = (ones(x, device), bias.then(|| ones([d_output], device)));
            Box::new(move || completed(product::linear(x.clone(), weight.clone(), bias.clone())))
        }
        Operation::Matmul { left, right } => {
            let (left, right) = (ones(left, device), ones(right, device));
            Box::new(move || completed(left.clone().matmul(right.clone())))
        }
        Operation::Conv { ref x, ref weight, bias, ref options } => {
            let bias = bias.then(|| ones([weight[0]], device));
            match (<[usize; 3]>::try_from(&x[..]), <[usize; 4]>::try_from(&x[..])) {
                (Ok(x), _) => {
                    let (x, weight) = (ones(x, device), ones(sized::<_, 3>(weight)?, device));
                    let options = window(options)?;
                    Box::new(move || {
                        completed(product::conv1d(x.clone(), weight.clone(), bias.clone(), options.clone()));
                    })
                }
                (_, Ok([batch, channels, height, width])) => {
                    let weight = ones(sized::<_, 4>(weight)?, device);
                    // A depthwise convolution stands between layers that have channels last.
                    let channels_last = options.groups == channels;
                    let x = match channels_last {
                        true => ones([batch, height, width, channels], device).permute([0, 3, 1, 2]),
                        false => ones([batch, channels, height, width], device),
                    };
                    let options = window(options)?;
                    Box::new(move || {
                        let output =
                            product::conv2d(x.clone(), weight.clone(), bias.clone(), options.clone());
                        completed(if channels_last { output.permute([0, 2, 3, 1]) } else { output });
                    })
                }
                _ => return Err("it has neither one axis nor two".to_owned()),
            }
        }
        Operation::Attention { q: [batch, heads, tokens, dims], keys, dims_of_values, bias }
            if tokens.is_multiple_of(keys) && dims > 0 =>
        {
            // Several queries for a key are recorded as more rows.
            let queries = tokens / keys;
            let layout = HeadLayout::new(heads, dims).with_values(dims_of_values).with_queries(queries);
            let qkv = ones([batch, keys, heads * ((queries + 1) * dims + dims_of_values)], device);
            let bias = bias.map(|[n, of, ..]| {
                let all = if of == 1 { 1 } else { of * queries };
                ones([n, all, keys, keys], device)
            });
            Box::new(move || {
                completed(match &bias {
                    Some(bias) => layout.attend_with_bias(qkv.clone(), bias.clone()),
                    None => layout.attend(qkv.clone()),
                })
            })
        }
        Operation::Attention { q, keys, dims_of_values, bias } => {
            let [batch, heads, _, dims] = q;
            let (k, v) = (
                ones([batch, heads, keys, dims], device),
                ones([batch, heads, keys, dims_of_values], device),
            );
            let (q, bias) = (ones(q, device), bias.map(|bias| ones(bias, device)));
            Box::new(move || {
                completed(product::attention(q.clone(), k.clone(), v.clone(), bias.clone(), 1.0))
            })
        }
        Operation::LayerNorm { x, shift } => {
            let norm = LayerNormConfig::new(x[2]).init(device);
            let norm = if shift { norm } else { LayerNorm { beta: None, ..norm } };
            let x = ones(x, device);
            Box::new(move || completed(norm.forward(x.clone())))
        }
        Operation::Gelu { values } => {
            let x = ones([values], device);
            Box::new(move || completed(Gelu::new().forward(x.clone())))
        }
        Operation::Elements { values } => {
            let [x, y] = [(); 2].map(|()| ones([values], device));
            Box::new(move || completed(x.clone() + y.clone()))
        }
    })
}

fn sized<T: Copy, const N: usize>(values: &[T]) -> Result<[T; N], String> {
    values.try_into().map_err(|_| format!("it has {} axes and not {N}", values.len()))
}

fn window<const N: usize>(options: &ConvWindow) -> Result<ConvOptions<N>, String> {
    let ConvWindow { stride, padding, dilation, groups } = options;
    let symmetric = ConvOptions::new(sized(stride)?, [0; N], sized(dilation)?, *groups);
    Ok(ConvOptions { padding: sized(padding)?, ..symmetric })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_operation_can_be_replayed_and_what_does_not_fit_is_an_error() {
        let one = ConvWindow { stride: vec![1], padding: vec![(1, 0)], dilation: vec![1], groups: 1 };
        let two =
            ConvWindow { stride: vec![2; 2], padding: vec![(0, 0); 2], dilation: vec![1; 2], groups: 3 };
        let conv = |x: &[usize], weight: &[usize], options: &ConvWindow| Operation::Conv {
            x: x.to_vec(),
            weight: weight.to_vec(),
            bias: true,
            options: options.clone(),
        };
        let attention =
            |dims_of_values, bias| Operation::Attention { q: [2, 3, 5, 4], keys: 5, dims_of_values, bias };
        let grouped = |bias| Operation::Attention { q: [2, 3, 10, 4], keys: 5, dims_of_values: 3, bias };
        for precision in [Precision::F32, Precision::Bf16] {
            let clock = DeviceClock { device: Device::flex(), precision };
            for operation in [
                Operation::Linear { x: [2, 3, 4], d_output: 5, bias: true },
                Operation::Matmul { left: [2, 3, 4], right: [1, 4, 5] },
                conv(&[1, 2, 8], &[3, 2, 3], &one),
                conv(&[2, 3, 8, 8], &[3, 1, 2, 2], &two),
                conv(&[2, 6, 8, 8], &[3, 2, 2, 2], &two),
                attention(4, None),
                attention(3, None),
                attention(4, Some([1, 3, 5, 5])),
                grouped(None),
                grouped(Some([1, 3, 10, 5])),
                grouped(Some([2, 1, 10, 5])),
                Operation::LayerNorm { x: [2, 3, 4], shift: true },
                Operation::LayerNorm { x: [2, 3, 4], shift: false },
                Operation::Gelu { values: 9 },
                Operation::Elements { values: 9 },
            ] {
                let seconds = clock.seconds(&operation).unwrap();
                assert!(seconds > 0.0 && seconds.is_finite(), "{operation:?}: {seconds}");
            }
            let wrong = conv(&[2, 4, 8, 8], &[3, 1, 2, 2], &one);
            assert!(clock.seconds(&wrong).unwrap_err().to_string().contains("axes and not 2"));
        }
    }
}
