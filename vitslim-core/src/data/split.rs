//! One split of a dataset.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};

use super::augment::{Mixing, Raster, View};
use super::images::Images;
use super::{Augment, DataError, ImageShape, Moment};

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
    /// The pixel that is closest to the mean, for each channel.
    mean: Arc<[u8]>,
    /// The augmentation of a shuffled loader.
    augment: Augment,
}

impl Split {
    pub(super) fn new(chosen: Chosen, table: &[[f32; 256]], augment: Augment) -> Self {
        let (indices, mean) = (chosen.indices.into(), mean_pixels(table));
        Self { images: chosen.images, indices, table: table.into(), mean, augment }
    }

    pub(super) fn with_table(self, table: &[[f32; 256]]) -> Self {
        Self { table: table.into(), mean: mean_pixels(table), ..self }
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

    /// The normalised values of the images `indices`, augmented as of the `moment` of a training.
    pub(super) fn values(&self, indices: &[usize], moment: Option<Moment>) -> Result<Vec<f32>, DataError> {
        let shape = self.shape();
        let mut draws = moment.map(Moment::augmentation);
        let mut image = vec![0; shape.values()];
        let mut values = Vec::with_capacity(indices.len() * shape.values());
        for &index in indices {
            let place = self.indices[index];
            let view = draws.as_mut().map_or_else(View::default, |draws| self.augment.draw(draws));
            match moment.filter(|_| self.augment.changes_images()) {
                None => {
                    self.images.read(place, &mut image)?;
                    view.append(&image, shape, &self.table, &mut values);
                }
                Some(moment) => {
                    let changed = self.changed(place, view, moment)?;
                    let first = values.len();
                    View::default().append(&changed.pixels, shape, &self.table, &mut values);
                    self.augment.erase(&mut values[first..], shape, moment, place);
                }
            }
        }
        if let Some(mixing) = self.mixing(moment) {
            mixing.apply(&mut values, shape.values(), shape.size);
        }
        Ok(values)
    }

    /// The image at `place` among the images, augmented as of `moment`, before normalisation.
    fn changed(&self, place: usize, view: View, moment: Moment) -> Result<Raster, DataError> {
        let shape = self.shape();
        let source = match self.augment.crop {
            Some(_) => self.images.read_whole(place)?,
            None => {
                let mut image = vec![0; shape.values()];
                self.images.read(place, &mut image)?;
                Raster::new(shape.size, shape.size, image)
            }
        };
        Ok(self.augment.changed(source, shape.size, view, &self.mean, moment, place))
    }

    /// How the images of a batch are mixed at the `moment` of a training.
    pub(super) fn mixing(&self, moment: Option<Moment>) -> Option<Mixing> {
        self.augment.mixing(self.shape().size, &mut moment?.mixing())
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

/// The pixel of each channel whose normalised value is closest to 0.
fn mean_pixels(table: &[[f32; 256]]) -> Arc<[u8]> {
    let closest = |values: &[f32; 256]| {
        (0..=u8::MAX).min_by(|&a, &b| {
            let [a, b] = [a, b].map(|pixel| values[usize::from(pixel)].abs());
            a.total_cmp(&b)
        })
    };
    table.iter().filter_map(closest).collect()
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
