//! Mixup (Zhang et al. 2018) and cutmix (Yun et al. 2019), as timm's `Mixup` does them in its mode `batch`: the last image of a batch
//! is mixed into the first, the first into the last, and so on. The middle of an odd number of images would be mixed with itself, and
//! stays as it is, as does a single image.

use rand::{Rng, RngExt};
use rand_distr::{Beta, Distribution};

use super::raster::Rectangle;
use super::settings::Augment;

/// How the images of a batch are mixed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(in crate::data) struct Mixing {
    /// Share of each image's own label.
    pub(in crate::data) share: f64,
    /// What comes from the other image; `None` blends all of both.
    pub(super) cut: Option<Rectangle>,
}

impl Augment {
    /// Draws how the images of a batch, of `size`, are mixed; `None` if they are not.
    pub(in crate::data) fn mixing(&self, size: usize, draws: &mut impl Rng) -> Option<Mixing> {
        let is_mixed = draws.random::<f64>() < self.mixup_prob;
        let is_switched = draws.random::<f64>() < self.mixup_switch_prob;
        let (alpha, is_cut) = match (self.mixup > 0.0, self.cutmix > 0.0) {
            (false, false) => return None,
            _ if !is_mixed => return None,
            (false, true) => (self.cutmix, true),
            (true, true) if is_switched => (self.cutmix, true),
            (true, _) => (self.mixup, false),
        };
        let share = Beta::new(alpha, alpha).ok()?.sample(draws);
        Some(match is_cut {
            true => Mixing::cut(share, size, draws),
            false => Mixing { share, cut: None },
        })
    }
}

impl Mixing {
    /// Draws a rectangle of an image of `size`, of which about `share` is to stay. What lies outside the image is cut off, and the
    /// share is then larger.
    fn cut(share: f64, size: usize, draws: &mut impl Rng) -> Self {
        let side = (size as f64 * (1.0 - share).sqrt()) as usize;
        let [(top, height), (left, width)] = [(); 2].map(|()| {
            let centre = draws.random_range(0..size);
            let first = centre.saturating_sub(side / 2);
            (first, (centre + side.div_ceil(2)).min(size) - first)
        });
        let share = 1.0 - (height * width) as f64 / (size * size) as f64;
        Self { share, cut: Some(Rectangle { top, left, height, width }) }
    }

    /// Mixes the images of a batch, `[images, channels, size, size]`, each of `values` values.
    pub(in crate::data) fn apply(&self, batch: &mut [f32], values: usize, size: usize) {
        let images = batch.len() / values;
        for first in 0..images / 2 {
            let (before, after) = batch.split_at_mut((images - 1 - first) * values);
            let (one, other) = (&mut before[first * values..][..values], &mut after[..values]);
            match self.cut {
                Some(Rectangle { top, left, height, width }) => {
                    let rows = one.chunks_exact_mut(size).zip(other.chunks_exact_mut(size)).enumerate();
                    for (_, (one, other)) in
                        rows.filter(|(row, _)| (top..top + height).contains(&(row % size)))
                    {
                        one[left..left + width].swap_with_slice(&mut other[left..left + width]);
                    }
                }
                None => {
                    let (share, rest) = (self.share as f32, (1.0 - self.share) as f32);
                    for (one, other) in one.iter_mut().zip(other) {
                        (*one, *other) = (*one * share + *other * rest, *other * share + *one * rest);
                    }
                }
            }
        }
    }
}
