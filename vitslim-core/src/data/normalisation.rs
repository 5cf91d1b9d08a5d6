//! Mean and deviation of pixels, channel by channel.

use serde::{Deserialize, Serialize};

use super::ImageShape;

/// What pixels are normalised by: `(pixel / white - mean) / deviation`, channel by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// The pixel value that counts as 1.
    pub white: u8,
    /// Mean of each channel over the training part, where `white` is 1.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, alike; 1 for a channel that is the same everywhere.
    pub deviation: Vec<f32>,
    /// Number of training images from which they were computed.
    pub images: usize,
}

impl Normalisation {
    /// For each channel what becomes of each pixel value.
    pub(super) fn table(&self) -> Vec<[f32; 256]> {
        let channel = |(mean, deviation): (&f32, &f32)| {
            std::array::from_fn(|pixel| (pixel as f32 / f32::from(self.white) - mean) / deviation)
        };
        self.mean.iter().zip(&self.deviation).map(channel).collect()
    }
}

/// How often each pixel value occurs in each channel. Counts are exact, whatever the order of the images.
#[derive(Clone, Debug)]
pub(super) struct Histogram {
    counts: Vec<[u64; 256]>,
    images: usize,
}

impl Histogram {
    pub(super) fn new(channels: usize) -> Self {
        Self { counts: vec![[0; 256]; channels], images: 0 }
    }

    /// Counts the pixels of `image`, `[channels, height, width]`.
    pub(super) fn add(&mut self, image: &[u8], shape: ImageShape) {
        for (counts, channel) in self.counts.iter_mut().zip(image.chunks_exact(shape.size * shape.size)) {
            for &pixel in channel {
                counts[usize::from(pixel)] += 1;
            }
        }
        self.images += 1;
    }

    #[must_use]
    pub(super) fn merge(mut self, other: Self) -> Self {
        for (counts, others) in self.counts.iter_mut().zip(&other.counts) {
            for (count, other) in counts.iter_mut().zip(others) {
                *count += other;
            }
        }
        self.images += other.images;
        self
    }

    /// Mean and deviation, or `None` if the pixels of every channel are all the same.
    pub(super) fn normalisation(&self, white: u8) -> Option<Normalisation> {
        let moments = |counts: &[u64; 256]| {
            let values = || counts.iter().enumerate().map(|(pixel, &count)| (pixel as f64, count as f64));
            let white = f64::from(white);
            let count: f64 = values().map(|(_, count)| count).sum();
            let mean = values().map(|(pixel, count)| pixel * count).sum::<f64>() / white / count;
            let squares = values().map(|(pixel, count)| (pixel / white - mean).powi(2) * count).sum::<f64>();
            (mean as f32, (squares / count).sqrt() as f32)
        };
        let varies = |counts: &[u64; 256]| counts.iter().filter(|&&count| count > 0).count() > 1;
        if !self.counts.iter().any(varies) {
            return None;
        }
        let (mean, deviation) = self.counts.iter().map(moments).unzip();
        let mut normalisation = Normalisation { white, mean, deviation, images: self.images };
        for (deviation, counts) in normalisation.deviation.iter_mut().zip(&self.counts) {
            if !varies(counts) {
                *deviation = 1.0;
            }
        }
        Some(normalisation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_deviation_of_known_pixels() {
        let shape = ImageShape { channels: 2, size: 2 };
        let mut first = Histogram::new(2);
        first.add(&[0, 0, 255, 255, 51, 51, 51, 51], shape);
        let mut second = Histogram::new(2);
        second.add(&[0, 255, 0, 255, 51, 51, 51, 51], shape);
        let normalisation = first.merge(second).normalisation(255).unwrap();
        assert_eq!(
            normalisation,
            Normalisation { white: 255, mean: vec![0.5, 0.2], deviation: vec![0.5, 1.0], images: 2 }
        );
        let table = normalisation.table();
        assert_eq!([table[0][0], table[0][255], table[1][51]], [-1.0, 1.0, 0.0]);
    }

    #[test]
    fn images_that_are_all_alike_have_none() {
        let mut histogram = Histogram::new(1);
        histogram.add(&[7; 4], ImageShape { channels: 1, size: 2 });
        assert_eq!(histogram.normalisation(255), None);
    }
}
