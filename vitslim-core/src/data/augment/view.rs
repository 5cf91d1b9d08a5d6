//! Shifts and mirrors an image.

use rand::{Rng, RngExt};

use super::raster::Raster;
use super::settings::{Augment, Fill};
use crate::data::ImageShape;

impl Augment {
    /// Draws the view of one image. Everything is drawn whatever the settings, so that a setting does not change what others
    /// draw.
    pub(in crate::data) fn draw(self, generator: &mut impl Rng) -> View {
        let padding = i64::from(self.crop_padding);
        let down = generator.random_range(-padding..=padding) as isize;
        let right = generator.random_range(-padding..=padding) as isize;
        let flip = generator.random::<bool>() && self.flip;
        View { down, right, flip, fill: self.fill }
    }
}

/// A shifted and possibly mirrored view of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::data) struct View {
    /// Pixels by which the view is shifted down.
    down: isize,
    /// Pixels by which it is shifted to the right.
    right: isize,
    /// Whether it is mirrored left to right.
    flip: bool,
    /// What lies outside the image.
    fill: Fill,
}

impl View {
    /// Puts the view of `image`, `[channels, height, width]`, normalised by `table`, into `values`.
    pub(in crate::data) fn normalised(
        self,
        image: &[u8],
        shape: ImageShape,
        table: &[[f32; 256]],
        values: &mut [f32],
    ) {
        let area = shape.size * shape.size;
        let planes = image.chunks_exact(area).zip(values.chunks_exact_mut(area));
        for ((plane, values), table) in planes.zip(table) {
            let outside = match self.fill {
                Fill::Black => table[0],
                Fill::Mean => 0.0,
            };
            self.plane(plane, shape.size, outside, |pixel| table[usize::from(pixel)], values);
        }
    }

    /// The view of a square `image` before normalisation, whose channels have the `mean` pixel.
    pub(super) fn applied(self, image: Raster, mean: &[u8]) -> Raster {
        if (self.down, self.right, self.flip) == (0, 0, false) {
            return image;
        }
        let size = image.width;
        let mut seen = image.clone();
        for ((before, after), mean) in image.layers().zip(seen.layers_mut()).zip(mean.chunks(4)) {
            let outside = match self.fill {
                Fill::Black => [0; 4],
                Fill::Mean => std::array::from_fn(|channel| mean.get(channel).copied().unwrap_or(0)),
            };
            self.plane(before, size, outside, |pixel| pixel, after);
        }
        seen
    }

    /// Puts the view of a square plane into `values`: what `inside` makes of its pixels, and what lies `outside`.
    fn plane<P: Copy, T: Copy>(
        self,
        plane: &[P],
        size: usize,
        outside: T,
        inside: impl Fn(P) -> T,
        values: &mut [T],
    ) {
        // The columns that are seen, and how many lie left and right of them.
        let first = 0_usize.saturating_add_signed(self.right);
        let columns = first..size.saturating_add_signed(self.right).min(size);
        let left = first.saturating_add_signed(-self.right);
        let right = size - left - columns.len();
        for (y, values) in values.chunks_exact_mut(size).enumerate() {
            let Some(row) = y.checked_add_signed(self.down).filter(|&row| row < size) else {
                values.fill(outside);
                continue;
            };
            let row = plane[row * size..(row + 1) * size][columns.clone()].iter();
            if self.flip {
                values[..right].fill(outside);
                values[right..].iter_mut().zip(row.rev()).for_each(|(value, &pixel)| *value = inside(pixel));
                values[size - left..].fill(outside);
            } else {
                values[..left].fill(outside);
                values[left..].iter_mut().zip(row).for_each(|(value, &pixel)| *value = inside(pixel));
                values[size - right..].fill(outside);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::data::{Moment, Stage};

    /// A view of nine pixels, whose normalised values are those from 1 to 9; black is -5.
    fn seen(view: View) -> [f32; 9] {
        let table = [std::array::from_fn(|pixel| if pixel == 0 { -5.0 } else { pixel as f32 })];
        let mut values = [0.0; 9];
        let shape = ImageShape { channels: 1, size: 3 };
        view.normalised(&[1, 2, 3, 4, 5, 6, 7, 8, 9], shape, &table, &mut values);
        values
    }

    #[test]
    fn crops_and_mirrors() {
        assert_eq!(seen(View::default()), [1., 2., 3., 4., 5., 6., 7., 8., 9.]);
        let view = |down, right, flip| seen(View { down, right, flip, fill: Fill::Mean });
        assert_eq!(view(1, 0, false), [4., 5., 6., 7., 8., 9., 0., 0., 0.]);
        assert_eq!(view(-1, 2, false), [0., 0., 0., 3., 0., 0., 6., 0., 0.]);
        assert_eq!(view(0, 0, true), [3., 2., 1., 6., 5., 4., 9., 8., 7.]);
        assert_eq!(view(0, 1, true), [0., 3., 2., 0., 6., 5., 0., 9., 8.]);
        let black = seen(View { down: -1, right: 2, flip: false, fill: Fill::Black });
        assert_eq!(black, [-5., -5., -5., 3., -5., -5., 6., -5., -5.]);
    }

    #[test]
    fn a_view_is_the_same_before_and_after_normalisation() {
        let mean = [3];
        let table = [std::array::from_fn(|value| value as f32 - 3.0)];
        for (down, right) in (-2..=2).flat_map(|down| (-2..=2).map(move |right| (down, right))) {
            for (flip, fill) in [(false, Fill::Mean), (true, Fill::Mean), (true, Fill::Black)] {
                let view = View { down, right, flip, fill };
                let pixels = [1, 2, 3, 4, 5, 6, 7, 8, 9];
                let (mut before, mut after) = ([0.0; 9], [1.0; 9]);
                view.applied(Raster::of_planes(3, 3, &pixels), &mean).normalised(&table, &mut before);
                view.normalised(&pixels, ImageShape { channels: 1, size: 3 }, &table, &mut after);
                assert_eq!(before, after, "{view:?}");
            }
        }
    }

    /// What version 0.1.0 drew: runs of the same settings keep their numbers.
    #[test]
    fn shifts_and_mirrors_are_drawn_as_ever() {
        let augment = Augment { crop_padding: 4, flip: true, ..Augment::NONE };
        let mut generator = Moment { seed: 5, stage: Stage::Search, epoch: 2, step: 3 }.augmentation();
        let drawn: [_; 8] = std::array::from_fn(|_| {
            let View { down, right, flip, .. } = augment.draw(&mut generator);
            (down, right, flip)
        });
        let shifts = [(3, 0), (3, 4), (0, 0), (4, 2), (1, 3), (4, 1), (1, -1), (3, -1)];
        let flips = [true, true, false, false, false, false, false, false];
        assert!(
            drawn
                .iter()
                .zip(shifts)
                .zip(flips)
                .all(|((drawn, (down, right)), flip)| *drawn == (down, right, flip))
        );
    }

    #[test]
    fn draws_reach_both_ends_and_the_settings_do_not_disturb_each_other() {
        let draws = |augment: Augment| -> Vec<View> {
            let mut generator = ChaCha8Rng::seed_from_u64(1);
            (0..500).map(|_| augment.draw(&mut generator)).collect()
        };
        let both = draws(Augment { crop_padding: 2, flip: true, ..Augment::default() });
        for shift in -2..=2 {
            assert!(
                both.iter().any(|view| view.down == shift) && both.iter().any(|view| view.right == shift)
            );
        }
        let flips = both.iter().filter(|view| view.flip).count();
        assert!((200..300).contains(&flips), "{flips}");
        let unflipped = draws(Augment { crop_padding: 2, ..Augment::default() });
        assert!(both.iter().zip(&unflipped).all(|(a, b)| (a.down, a.right) == (b.down, b.right) && !b.flip));
        assert!(draws(Augment::default()).iter().all(|view| *view == View::default()));
    }
}
