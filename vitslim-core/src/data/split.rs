//! One split of a dataset.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand_chacha::ChaCha8Rng;

use super::augment::View;
use super::images::Images;
use super::{Augment, DataError, ImageShape};

/// One split of a dataset: training, validation or test. Clones share the images.
///
/// Images are normalised on demand: until then, those in memory take one byte per value, and those in files nothing.
#[derive(Clone, Debug)]
pub struct Split {
    images: Arc<Images>,
    /// The indices of those in this split.
    indices: Arc<[usize]>,
    /// The normalised value of each pixel value, for each channel.
    table: Arc<[[f32; 256]]>,
    /// The augmentation of a shuffled loader.
    augment: Augment,
}

impl Split {
    pub(super) fn new(chosen: Chosen, table: &[[f32; 256]], augment: Augment) -> Self {
        Self { images: chosen.images, indices: chosen.indices.into(), table: table.into(), augment }
    }

    pub(super) fn with_table(self, table: &[[f32; 256]]) -> Self {
        Self { table: table.into(), ..self }
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Whether there is no image.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }

    /// Channels and size of an image.
    pub fn shape(&self) -> ImageShape {
        self.images.shape
    }

    /// Whether images are read from files on demand.
    pub fn reads_files(&self) -> bool {
        self.images.are_files()
    }

    /// The images `indices`, normalised, `[images, channels, height, width]`.
    ///
    /// # Errors
    ///
    /// When the file of an image cannot be read.
    pub fn images(&self, indices: &[usize], device: &Device) -> Result<Tensor<4>, DataError> {
        Ok(self.tensor(self.values(indices, None)?, device))
    }

    /// The labels of the images `indices`, `[images]`.
    pub fn labels(&self, indices: &[usize], device: &Device) -> Tensor<1, Int> {
        let labels: Vec<i64> = indices.iter().map(|&index| self.label(index) as i64).collect();
        Tensor::from_data(TensorData::new(labels, [indices.len()]), device)
    }

    /// The label of the image `index`.
    pub fn label(&self, index: usize) -> usize {
        self.images.labels[self.indices[index]] as usize
    }

    /// The normalised values of the images `indices`, augmented by `draws` if given.
    pub(super) fn values(
        &self,
        indices: &[usize],
        mut draws: Option<ChaCha8Rng>,
    ) -> Result<Vec<f32>, DataError> {
        let shape = self.shape();
        let mut image = vec![0; shape.values()];
        let mut values = Vec::with_capacity(indices.len() * shape.values());
        for &index in indices {
            self.images.read(self.indices[index], &mut image)?;
            let view = draws.as_mut().map_or_else(View::default, |draws| self.augment.draw(draws));
            view.append(&image, shape, &self.table, &mut values);
        }
        Ok(values)
    }

    /// SHA-256 over the images that this split is drawn from, pixels and class names.
    pub(super) fn sha256(&self, class_names: &[String]) -> String {
        self.images.sha256(class_names)
    }

    /// Whether this split and `other` are drawn from the same images.
    pub(super) fn is_drawn_like(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.images, &other.images)
    }

    /// `values` as a tensor `[images, channels, height, width]`.
    pub(super) fn tensor(&self, values: Vec<f32>, device: &Device) -> Tensor<4> {
        let ImageShape { channels, size } = self.shape();
        let images = values.len() / self.shape().values();
        Tensor::from_data(TensorData::new(values, [images, channels, size, size]), device)
    }
}

/// A selection of images.
#[derive(Clone, Debug)]
pub(super) struct Chosen {
    pub(super) images: Arc<Images>,
    pub(super) indices: Vec<usize>,
}

impl Chosen {
    pub(super) fn all(images: Images) -> Self {
        let indices = (0..images.labels.len()).collect();
        Self { images: Arc::new(images), indices }
    }
}
