//! Mean and std of pixels, channel by channel.

use serde::{Deserialize, Serialize};

use super::ImageShape;

/// How pixels are normalised: `(pixel / white - mean) / std`, channel by channel.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Normalisation {
    /// The pixel value that is taken as 1.
    pub white: u8,
    /// Mean of each channel, in units of `white`.
    pub mean: Vec<f32>,
    /// Standard deviation of each channel, in units of `white`; 1 for a channel that is constant. Earlier versions wrote it as
    /// `deviation`.
    #[serde(alias = "deviation")]
    pub std: Vec<f32>,
    /// Number of training images they were computed from; 0 if the experiment gives them.
    pub images: usize,
}

impl Normalisation {
    /// The normalised value of each pixel value, for each channel.
    pub(super) fn table(&self) -> Vec<[f32; 256]> {
        let channel = |(mean, std): (&f32, &f32)| {
            std::array::from_fn(|pixel| (pixel as f32 / f32::from(self.white) - mean) / std)
        };
        self.mean.iter().zip(&self.std).map(channel).collect()
    }
}

/// How often each pixel value occurs in each channel. Counts are exact, so the order of the images does not matter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Histogram {
    /// Of each channel, a count for each of the 256 pixel values.
    counts: Vec<Vec<u64>>,
    images: usize,
}

impl Histogram {
    pub(super) fn new(channels: usize) -> Self {
        Self { counts: vec![vec![0; 256]; channels], images: 0 }
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

    /// Number of images.
    pub(super) fn images(&self) -> usize {
        self.images
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

    /// Mean and std, or `None` if every channel is constant.
    pub(super) fn normalisation(&self, white: u8) -> Option<Normalisation> {
        let moments = |counts: &Vec<u64>| {
            let values = || counts.iter().enumerate().map(|(pixel, &count)| (pixel as f64, count as f64));
            let white = f64::from(white);
            let count: f64 = values().map(|(_, count)| count).sum();
            let mean = values().map(|(pixel, count)| pixel * count).sum::<f64>() / white / count;
            let squares = values().map(|(pixel, count)| (pixel / white - mean).powi(2) * count).sum::<f64>();
            (mean as f32, (squares / count).sqrt() as f32)
        };
        let varies = |counts: &Vec<u64>| counts.iter().filter(|&&count| count > 0).count() > 1;
        if !self.counts.iter().any(varies) {
            return None;
        }
        let (mean, std) = self.counts.iter().map(moments).unzip();
        let mut normalisation = Normalisation { white, mean, std, images: self.images };
        for (std, counts) in normalisation.std.iter_mut().zip(&self.counts) {
            if !varies(counts) {
                *std = 1.0;
            }
        }
        Some(normalisation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mean_and_std_of_known_pixels() {
        let shape = ImageShape { channels: 2, size: 2 };
        let mut first = Histogram::new(2);
        first.add(&[0, 0, 255, 255, 51, 51, 51, 51], shape);
        let mut second = Histogram::new(2);
        second.add(&[0, 255, 0, 255, 51, 51, 51, 51], shape);
        let normalisation = first.merge(second).normalisation(255).unwrap();
        assert_eq!(
            normalisation,
            Normalisation { white: 255, mean: vec![0.5, 0.2], std: vec![0.5, 1.0], images: 2 }
        );
        let table = normalisation.table();
        assert_eq!([table[0][0], table[0][255], table[1][51]], [-1.0, 1.0, 0.0]);
    }

    #[test]
    fn a_file_of_an_earlier_version_is_read() {
        let read = |name: &str| {
            serde_json::from_str(&format!(r#"{{"white":255,"mean":[0.5],"{name}":[0.25],"images":9}}"#))
        };
        let expected = Normalisation { white: 255, mean: vec![0.5], std: vec![0.25], images: 9 };
        assert_eq!((read("std").unwrap(), read("deviation").unwrap()), (expected.clone(), expected));
    }

    #[test]
    fn images_that_are_all_alike_have_none() {
        let mut histogram = Histogram::new(1);
        histogram.add(&[7; 4], ImageShape { channels: 1, size: 2 });
        assert_eq!(histogram.normalisation(255), None);
    }
}
