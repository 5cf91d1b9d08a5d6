//! Convolutions of each channel by itself, with channels last.
//!
//! A task copies the rows that it reads, some channels at a time, with the zeros around them, so that what it reads lies together.
//! The gradient of the input is a convolution too: of the gradient of the output, with the weights from last to first.

use super::parts::{computed_by_tasks, part};
use super::vector::{LANES, vectorised};

/// Most rows of the output in a task.
const MOST_ROWS: usize = 8;

/// Pixels of a row of the output that are computed together, each in a register. Where a row has another number, those too many are
/// computed as well. Seven divides the rows of ConvNeXt's stages, and eight would be slower by far: LLVM keeps no eight sums.
const PIXELS: usize = 7;

/// Channels that are computed together, so aligned that a vector of them is in one line of the cache.
#[derive(Clone, Copy)]
#[repr(align(64))]
struct Channels([f32; LANES]);

const ZEROS: Channels = Channels([0.0; LANES]);

impl Channels {
    /// The first of `values`, as many as fit, in place of those that are there.
    #[inline(always)]
    fn read(&mut self, values: &[f32]) {
        // One of known length is two instructions; the other is a call.
        match values.first_chunk() {
            Some(values) => self.0 = *values,
            None => self.0[..values.len()].copy_from_slice(values),
        }
    }

    /// Writes as many as fit into `values`.
    #[inline(always)]
    fn write(&self, values: &mut [f32]) {
        match values.first_chunk_mut() {
            Some(values) => *values = self.0,
            None => values.copy_from_slice(&self.0[..values.len()]),
        }
    }

    /// Adds the products of `a` and `b`.
    #[inline(always)]
    fn add(&mut self, a: &Self, b: &Self) {
        for lane in 0..LANES {
            self.0[lane] = a.0[lane].mul_add(b.0[lane], self.0[lane]);
        }
    }
}

/// What a convolution reads, in rows and columns.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sight {
    pub(super) input: [usize; 2],
    pub(super) output: [usize; 2],
    pub(super) kernel: [usize; 2],
    /// From one value of the output to the next.
    pub(super) stride: [usize; 2],
    /// Zeros before the first value of the input.
    pub(super) before: [isize; 2],
    /// From one value of the input to the next, with zeros in between.
    pub(super) spread: [usize; 2],
}

impl Sight {
    /// Of the convolution whose output is the gradient of the input.
    fn of_gradient(self) -> Self {
        Self {
            input: self.output,
            output: self.input,
            stride: self.spread,
            before: [0, 1].map(|axis| self.kernel[axis] as isize - 1 - self.before[axis]),
            spread: self.stride,
            ..self
        }
    }

    /// Of the values of the output themselves.
    fn of_output(self) -> Self {
        Self { input: self.output, kernel: [1, 1], stride: [1, 1], before: [0, 0], spread: [1, 1], ..self }
    }

    /// How many values in a line of `outputs` along an axis are read.
    fn read(&self, axis: usize, outputs: usize) -> usize {
        (outputs - 1) * self.stride[axis] + self.kernel[axis]
    }

    /// How many values along an axis of the input come before place `first` of those that are read, and the place of the next.
    fn start(&self, axis: usize, first: usize) -> [usize; 2] {
        let (spread, before) = (self.spread[axis], self.before[axis] - first as isize);
        let skipped = before.min(0).unsigned_abs().div_ceil(spread);
        [skipped, (skipped * spread).wrapping_add_signed(before)]
    }

    /// Room for what the rows of `task` read of some channels, in rows of `columns`.
    fn block(&self, task: &Task, columns: usize) -> Vec<Channels> {
        vec![ZEROS; self.read(0, task.rows) * columns]
    }

    /// Reads the rows of `task` from channel `first` of `image`, `[height, width, channels]`, into their `block`.
    #[inline(always)]
    fn copy(&self, block: &mut [Channels], image: Image, task: &Task, first: usize, columns: usize) {
        let [above, top] = self.start(0, task.first * self.stride[0]);
        let [left, start] = self.start(1, 0);
        let rows = image.values.chunks_exact(self.input[1] * image.channels).skip(above);
        let places = block.chunks_exact_mut(columns).skip(top).step_by(self.spread[0]);
        for (row, places) in rows.zip(places) {
            let values = row.chunks_exact(image.channels).skip(left);
            for (values, place) in values.zip(places.iter_mut().skip(start).step_by(self.spread[1])) {
                place.read(&values[first..]);
            }
        }
    }
}

/// `[height, width, channels]`
#[derive(Clone, Copy)]
struct Image<'a> {
    values: &'a [f32],
    channels: usize,
}

/// Rows of the output of an image.
struct Task {
    image: usize,
    first: usize,
    rows: usize,
}

/// The rows of all images, in parts of about equal length.
fn tasks(images: usize, rows: usize) -> Vec<Task> {
    let most = rows.div_ceil(rows.div_ceil(MOST_ROWS));
    let of_image = |image| {
        let firsts = (0..rows).step_by(most);
        firsts.map(move |first| Task { image, first, rows: most.min(rows - first) })
    };
    (0..images).flat_map(of_image).collect()
}

/// The weights, `[channels, taps]`, as `[blocks, taps]` of some channels each.
fn by_block(weight: &[f32], taps: usize) -> Vec<Channels> {
    let blocks = weight.chunks(taps * LANES);
    let block = |block: &[f32]| {
        let mut turned = vec![ZEROS; taps];
        for (channel, weights) in block.chunks_exact(taps).enumerate() {
            for (turned, weight) in turned.iter_mut().zip(weights) {
                turned.0[channel] = *weight;
            }
        }
        turned
    };
    blocks.flat_map(block).collect()
}

/// The output, `[images, height, width, channels]`, of `x`, likewise, with `weight`, `[channels, taps]`.
pub(super) fn forward(x: &[f32], weight: &[f32], bias: &[f32], sight: Sight) -> Vec<f32> {
    convolve(x, &by_block(weight, sight.kernel.iter().product()), bias, sight)
}

/// The gradient of the input.
pub(super) fn of_input(gradient: &[f32], weight: &[f32], sight: Sight) -> Vec<f32> {
    let taps: usize = sight.kernel.iter().product();
    let mut turned = by_block(weight, taps);
    turned.chunks_exact_mut(taps).for_each(<[Channels]>::reverse);
    convolve(gradient, &turned, &vec![0.0; weight.len() / taps], sight.of_gradient())
}

/// A convolution with `taps`, `[blocks, taps]`.
fn convolve(x: &[f32], taps: &[Channels], bias: &[f32], sight: Sight) -> Vec<f32> {
    let (channels, [height, width]) = (bias.len(), sight.output);
    let image = sight.input[0] * sight.input[1] * channels;
    let tasks = tasks(x.len() / image, height);
    let lengths: Vec<_> = tasks.iter().map(|task| [task.rows * width * channels]).collect();
    let columns = sight.read(1, width.next_multiple_of(PIXELS));
    let [output] = computed_by_tasks(&lengths, |number, [output]| {
        let task = &tasks[number];
        let x = Image { values: part(x, image, task.image), channels };
        let output = output.cleared();
        let mut block = sight.block(task, columns);
        let each = taps.chunks_exact(sight.kernel[0] * sight.kernel[1]).zip(bias.chunks(LANES));
        for (number, (taps, bias)) in each.enumerate() {
            let first = number * LANES;
            let mut start = ZEROS;
            start.read(bias);
            let kernel =
                Kernel { taps, channels: bias.len(), start, size: sight.kernel, stride: sight.stride };
            let output = &mut output[first..];
            vectorised(
                #[inline(always)]
                || {
                    sight.copy(&mut block, x, task, first, columns);
                    match sight.stride[1] {
                        1 => kernel.rows::<1>(output, &block, columns, [width, channels]),
                        _ => kernel.rows::<0>(output, &block, columns, [width, channels]),
                    }
                },
            );
        }
        [output]
    });
    output
}

/// The weights of some channels.
struct Kernel<'a> {
    taps: &'a [Channels],
    /// How many there are.
    channels: usize,
    /// What each sum starts from.
    start: Channels,
    size: [usize; 2],
    stride: [usize; 2],
}

impl Kernel<'_> {
    /// Writes rows of the output, which have `width` pixels of `channels`, from those of `block`. `STEP` is the step from a pixel to the
    /// next, if the compiler is to know it, or 0.
    #[inline(always)]
    fn rows<const STEP: usize>(
        &self,
        output: &mut [f32],
        block: &[Channels],
        columns: usize,
        [width, channels]: [usize; 2],
    ) {
        let step = if STEP == 0 { self.stride[1] } else { STEP };
        for (row, output) in output.chunks_mut(width * channels).enumerate() {
            let block = &block[row * self.stride[0] * columns..];
            for (first, output) in (0..width).step_by(PIXELS).zip(output.chunks_mut(PIXELS * channels)) {
                let sums = self.pixels(&block[first * step..], columns, step);
                output.chunks_mut(channels).zip(&sums).for_each(
                    #[inline(always)]
                    |(output, sum)| sum.write(&mut output[..self.channels]),
                );
            }
        }
    }

    /// Some pixels of the output.
    #[inline(always)]
    fn pixels(&self, block: &[Channels], columns: usize, step: usize) -> [Channels; PIXELS] {
        let mut sums = [self.start; PIXELS];
        for (row, taps) in self.taps.chunks_exact(self.size[1]).enumerate() {
            let block = &block[row * columns..];
            for (column, tap) in taps.iter().enumerate() {
                let block = &block[column..][..(PIXELS - 1) * step + 1];
                for (pixel, sum) in sums.iter_mut().enumerate() {
                    sum.add(&block[pixel * step], tap);
                }
            }
        }
        sums
    }
}

/// The gradients of the weight, `[channels, taps]`, and of the bias.
pub(super) fn of_parameters(x: &[f32], gradient: &[f32], channels: usize, sight: Sight) -> [Vec<f32>; 2] {
    let [taps, image, pixels] = [sight.kernel, sight.input, sight.output].map(|[a, b]| a * b);
    let blocks = channels.div_ceil(LANES);
    let tasks = tasks(x.len() / (image * channels), sight.output[0]);
    // With each weight of a block, and last its bias.
    let lengths = vec![[blocks * (taps + 1) * LANES]; tasks.len()];
    let columns = sight.read(1, sight.output[1]);
    let [sums] = computed_by_tasks(&lengths, |number, [sums]| {
        let task = &tasks[number];
        let [x, gradient] = [(x, image), (gradient, pixels)]
            .map(|(values, size)| Image { values: part(values, size * channels, task.image), channels });
        let sums = sums.cleared();
        let width = sight.output[1];
        let (mut read, mut of_output) = (sight.block(task, columns), sight.of_output().block(task, width));
        for (number, sums) in sums.chunks_exact_mut((taps + 1) * LANES).enumerate() {
            vectorised(
                #[inline(always)]
                || {
                    sight.copy(&mut read, x, task, number * LANES, columns);
                    sight.of_output().copy(&mut of_output, gradient, task, number * LANES, width);
                    Rows { read: &read, columns, of_output: &of_output, width }.sums(sums, sight);
                },
            );
        }
        [sums]
    });
    let mut of_block = vec![0.0; lengths[0][0]];
    for task in sums.chunks_exact(of_block.len()) {
        for (sum, value) in of_block.iter_mut().zip(task) {
            *sum += value;
        }
    }
    let value =
        |channel: usize, tap: usize| of_block[(channel / LANES * (taps + 1) + tap) * LANES + channel % LANES];
    let of_weight = (0..channels).flat_map(|channel| (0..taps).map(move |tap| value(channel, tap)));
    [of_weight.collect(), (0..channels).map(|channel| value(channel, taps)).collect()]
}

/// What rows of the output read of some channels, and their gradient.
struct Rows<'a> {
    read: &'a [Channels],
    columns: usize,
    of_output: &'a [Channels],
    width: usize,
}

impl Rows<'_> {
    /// Writes the gradient of each weight, and of the bias.
    #[inline(always)]
    fn sums(&self, sums: &mut [f32], sight: Sight) {
        let (mut sums, width) = (sums.chunks_exact_mut(LANES), sight.kernel[1]);
        for row in 0..sight.kernel[0] {
            let read = &self.read[row * self.columns..];
            let mut write = |taps: &[Channels]| {
                taps.iter().zip(&mut sums).for_each(|(tap, sum)| sum.copy_from_slice(&tap.0));
            };
            match width {
                3 => write(&self.taps::<3>(read, sight.stride)),
                5 => write(&self.taps::<5>(read, sight.stride)),
                7 => write(&self.taps::<7>(read, sight.stride)),
                _ => (0..width).for_each(|tap| write(&self.taps::<1>(&read[tap..], sight.stride))),
            }
        }
        let mut of_bias = ZEROS;
        for gradient in self.of_output {
            for (sum, gradient) in of_bias.0.iter_mut().zip(&gradient.0) {
                *sum += gradient;
            }
        }
        sums.for_each(|sum| sum.copy_from_slice(&of_bias.0));
    }

    /// The gradients of `T` weights side by side, the first of which reads `read`.
    #[inline(always)]
    fn taps<const T: usize>(&self, read: &[Channels], stride: [usize; 2]) -> [Channels; T] {
        let mut sums = [ZEROS; T];
        for (row, of_output) in self.of_output.chunks_exact(self.width).enumerate() {
            let read = &read[row * stride[0] * self.columns..];
            for (column, gradient) in of_output.iter().enumerate() {
                let read = &read[column * stride[1]..][..T];
                for (sum, x) in sums.iter_mut().zip(read) {
                    sum.add(x, gradient);
                }
            }
        }
        sums
    }
}
