//! Random erasing (Zhong et al. 2020), as timm's `RandomErasing` does it in its mode `pixel`.

use rand::{Rng, RngExt};
use rand_distr::StandardNormal;

use super::crop::side;
use super::raster::Rectangle;
use crate::data::ImageShape;

/// Least and largest part of the area that is erased.
const AREA: [f64; 2] = [0.02, 1.0 / 3.0];

/// Least height in widths; the largest is one over it.
const LEAST_ASPECT: f64 = 0.3;

/// How often a rectangle is drawn before the image stays as it is.
const ATTEMPTS: usize = 10;

/// Replaces a rectangle of normalised `values`, `[channels, size, size]`, by normal noise, with the probability `prob`.
pub(super) fn erase(prob: f64, values: &mut [f32], shape: ImageShape, draws: &mut impl Rng) {
    let size = shape.size;
    let Some(Rectangle { top, left, height, width }) = rectangle(prob, size, draws) else { return };
    for channel in values.chunks_exact_mut(size * size) {
        for row in channel.chunks_exact_mut(size).skip(top).take(height) {
            row[left..left + width].fill_with(|| draws.sample(StandardNormal));
        }
    }
}

/// What is erased of an image of `size`. On neither side is it the whole image.
pub(super) fn rectangle(prob: f64, size: usize, draws: &mut impl Rng) -> Option<Rectangle> {
    if draws.random::<f64>() >= prob {
        return None;
    }
    let attempt = |_| {
        let area = draws.random_range(AREA[0]..=AREA[1]) * (size * size) as f64;
        let aspect = draws.random_range(LEAST_ASPECT.ln()..=-LEAST_ASPECT.ln()).exp();
        let [height, width] = [area * aspect, area / aspect].map(side);
        (height < size && width < size).then(|| {
            let [top, left] = [height, width].map(|side| draws.random_range(0..=size - side));
            Rectangle { top, left, height, width }
        })
    };
    (0..ATTEMPTS).find_map(attempt)
}
