//! One split of a dataset.

use std::sync::Arc;

use burn::tensor::{Device, Int, Tensor, TensorData};
use rand::Rng;
use rand::seq::SliceRandom;
use rayon::prelude::*;

use super::augment::{Mixing, Raster, View};
use super::image_files::ImageFiles;
use super::images::Images;
use super::left_out::Flawed;
use super::shuffle::shuffle_by_blocks;
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

    /// The same images, augmented as `augment` says.
    #[must_use]
    pub fn augmented(self, augment: Augment) -> Self {
        Self { augment, ..self }
    }

    /// How often a shuffled loader sees an image in an epoch.
    pub(super) fn repeats(&self) -> usize {
        self.augment.repeats as usize
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

    /// Shuffles the indices of images, in the order of which they lie. What is read from shards stays near to one another.
    pub(super) fn shuffle(&self, indices: &mut Vec<usize>, generator: &mut impl Rng) {
        match self.images.are_in_shards() {
            true => shuffle_by_blocks(indices, generator),
            false => indices.shuffle(generator),
        }
    }

    /// The images `indices` without those that cannot be read, normalised, `[images, channels, height, width]`; `None` if none can.
    ///
    /// # Errors
    ///
    /// When too many cannot be read.
    pub fn images(&self, indices: &[usize], device: &Device) -> Result<Option<Tensor<4>>, DataError> {
        let (seen, _) = self.leave_out(self.values(indices, None)?)?;
        Ok((!seen.indices.is_empty()).then(|| self.tensor(seen.values, device)))
    }

    /// The normalised values of the image `index`, to be looked at; `None` if it cannot be read, which no limit counts.
    ///
    /// # Errors
    ///
    /// When the system does not let us read its file.
    pub fn picture(&self, index: usize) -> Result<Option<Vec<f32>>, DataError> {
        let seen = self.values(&[index], None)?;
        Ok((!seen.indices.is_empty()).then_some(seen.values))
    }

    /// The first `count` images that can be read, normalised, `[count, channels, height, width]`, and their labels, `[count]`: from
    /// the first on again if there are fewer.
    ///
    /// # Errors
    ///
    /// When too many cannot be read, or none can.
    pub fn first(&self, count: usize, device: &Device) -> Result<(Tensor<4>, Tensor<1, Int>), DataError> {
        let (mut seen, mut left) = (Seen::default(), 0..self.len());
        while seen.indices.len() < count && !left.is_empty() {
            let next: Vec<usize> = left.by_ref().take(count - seen.indices.len()).collect();
            let Seen { mut values, mut indices, mut flawed } = self.values(&next, None)?;
            seen.values.append(&mut values);
            seen.indices.append(&mut indices);
            seen.flawed.append(&mut flawed);
        }
        let (Seen { values, indices, .. }, first) = self.leave_out(seen)?;
        if let Some(flawed) = first.filter(|_| indices.is_empty()) {
            return Err(flawed.alone("no other image of its split can be read"));
        }
        let values: Vec<f32> = values.iter().copied().cycle().take(count * self.shape().values()).collect();
        let indices: Vec<usize> = indices.iter().copied().cycle().take(count).collect();
        Ok((self.tensor(values, device), self.labels(&indices, device)))
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

    /// The normalised values of the images `indices`, augmented as of the `moment` of a training. Indices count on for the copies of
    /// images: that of image 3 of 10 is 13, and the next one 23. A copy is changed as another image would be. The threads of the pool
    /// that it is called in share the images.
    ///
    /// # Errors
    ///
    /// When the system does not let us read the file of an image.
    pub(super) fn values(&self, indices: &[usize], moment: Option<Moment>) -> Result<Seen, DataError> {
        let each = self.shape().values();
        let mut draws = moment.map(Moment::augmentation);
        // Drawn for each, so that one that cannot be read does not change what the others get.
        let view = |_| draws.as_mut().map_or_else(View::default, |draws| self.augment.draw(draws));
        let views: Vec<View> = indices.iter().map(view).collect();
        let mut values = vec![0.0; indices.len() * each];
        let images = values.par_chunks_exact_mut(each).zip(indices).zip(views);
        let read: Vec<Result<Option<Flawed>, DataError>> =
            images.map(|((values, &index), view)| self.image(index, view, moment, values)).collect();
        let mut seen = Seen::default();
        for (place, (&index, flawed)) in indices.iter().zip(read).enumerate() {
            match flawed? {
                None => {
                    let behind_the_others = seen.indices.len();
                    if place > behind_the_others {
                        values.copy_within(place * each..(place + 1) * each, behind_the_others * each);
                    }
                    seen.indices.push(index % self.len());
                }
                Some(flawed) => seen.flawed.push(flawed),
            }
        }
        values.truncate(seen.indices.len() * each);
        seen.values = values;
        if let Some(mixing) = self.mixing(moment) {
            mixing.apply(&mut seen.values, each, self.shape().size);
        }
        Ok(seen)
    }

    /// Puts the normalised values of the image `index` or of a copy of it, augmented as of `moment`, into `values`. Answers with what is
    /// wrong with it if it is to be left out.
    fn image(
        &self,
        index: usize,
        view: View,
        moment: Option<Moment>,
        values: &mut [f32],
    ) -> Result<Option<Flawed>, DataError> {
        let shape = self.shape();
        let (index, copy) = (index % self.len(), index / self.len());
        let place = self.indices[index];
        let drawn = place + copy * self.images.labels.len();
        let Some(moment) = moment.filter(|_| self.augment.changes_images()) else {
            let mut image = vec![0; shape.values()];
            let flawed = self.images.read(place, &mut image)?;
            if flawed.is_none() {
                view.normalised(&image, shape, &self.table, values);
            }
            return Ok(flawed);
        };
        let changed = self.changed([place, drawn], view, moment)?.map(|changed| {
            changed.normalised(&self.table, values);
            self.augment.erase(values, shape, moment, drawn);
        });
        Ok(changed.err())
    }

    /// `seen`, after what cannot be read was counted, and named on the terminal if it was not met before; and the first of what
    /// cannot.
    ///
    /// # Errors
    ///
    /// When too many cannot be read.
    pub(super) fn leave_out(&self, mut seen: Seen) -> Result<(Seen, Option<Flawed>), DataError> {
        let flawed = std::mem::take(&mut seen.flawed);
        let first = flawed.first().cloned();
        self.images.leave_out(flawed)?;
        Ok((seen, first))
    }

    /// The image at `place` among the images, before normalisation, augmented as of `moment` as the image `drawn` is.
    fn changed(
        &self,
        [place, drawn]: [usize; 2],
        view: View,
        moment: Moment,
    ) -> Result<Result<Raster, Flawed>, DataError> {
        let shape = self.shape();
        let source = match self.augment.crop {
            Some(_) => self.images.read_whole(place)?,
            None => {
                let mut image = vec![0; shape.values()];
                let flawed = self.images.read(place, &mut image)?;
                flawed.map_or_else(|| Ok(Raster::of_planes(shape.size, shape.size, &image)), Err)
            }
        };
        Ok(source.map(|source| self.augment.changed(source, shape.size, view, &self.mean, moment, drawn)))
    }

    /// How the images of a batch are mixed at the `moment` of a training.
    pub(super) fn mixing(&self, moment: Option<Moment>) -> Option<Mixing> {
        self.augment.mixing(self.shape().size, &mut moment?.mixing())
    }

    /// SHA-256 over the images that this split is drawn from, pixels and class names.
    pub(super) fn sha256(&self, class_names: &[String]) -> String {
        self.images.sha256(class_names)
    }

    /// Checks that the system lets us read the files of the images that this split is drawn from.
    pub(super) fn check_files(&self) -> Result<(), DataError> {
        self.images.files().map_or(Ok(()), ImageFiles::check_files)
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

/// What is seen of some images.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// The normalised values of those that can be read.
    pub(super) values: Vec<f32>,
    /// Which these are.
    pub(super) indices: Vec<usize>,
    /// The others.
    flawed: Vec<Flawed>,
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
