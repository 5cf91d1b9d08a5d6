//! Images to train on, and how they come in batches.

mod digits;
mod loader;
mod random;

use burn::tensor::{Device, Int, Tensor, TensorData};
use thiserror::Error;

pub use digits::digits;
pub use loader::{Batch, Loader, Order};
pub use random::{Moment, Stage};

/// Labelled images in three parts. The held-out part drives every decision; the test part is only reported.
#[derive(Clone, Debug)]
pub struct Dataset {
    /// What an image is.
    pub shape: ImageShape,
    /// Number of classes.
    pub classes: usize,
    /// To train on.
    pub train: Part,
    /// To decide by.
    pub held_out: Part,
    /// To report.
    pub test: Part,
}

/// Size of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Number of channels.
    pub channels: usize,
    /// Height and width in pixels.
    pub size: usize,
}

impl ImageShape {
    /// Number of values an image has.
    pub fn values(self) -> usize {
        self.channels * self.size * self.size
    }
}

/// One part of a dataset, normalised and in memory.
#[derive(Clone, Debug)]
pub struct Part {
    shape: ImageShape,
    /// Images one after another, each `[channels, height, width]`.
    pixels: Vec<f32>,
    labels: Vec<u32>,
}

impl Part {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The images `indices`, `[images, channels, height, width]`.
    pub fn images(&self, indices: &[usize], device: &Device) -> Tensor<4> {
        let ImageShape { channels, size } = self.shape;
        let values = self.shape.values();
        let mut pixels = Vec::with_capacity(indices.len() * values);
        for &index in indices {
            pixels.extend_from_slice(&self.pixels[index * values..(index + 1) * values]);
        }
        let shape = [indices.len(), channels, size, size];
        Tensor::from_data(TensorData::new(pixels, shape), device)
    }

    /// The labels of the images `indices`, `[images]`.
    pub fn labels(&self, indices: &[usize], device: &Device) -> Tensor<1, Int> {
        let labels: Vec<i64> = indices.iter().map(|&index| self.labels[index].into()).collect();
        Tensor::from_data(TensorData::new(labels, [indices.len()]), device)
    }

    /// The label of the image `index`.
    pub fn label(&self, index: usize) -> usize {
        self.labels[index] as usize
    }

    fn normalise(&mut self, mean: f32, deviation: f32) {
        for pixel in &mut self.pixels {
            *pixel = (*pixel - mean) / deviation;
        }
    }
}

/// Data that cannot be used.
#[derive(Debug, Error)]
#[error("{file}: {reason}")]
pub struct DataError {
    /// The file at fault.
    pub file: String,
    /// What is wrong with it.
    pub reason: String,
}
