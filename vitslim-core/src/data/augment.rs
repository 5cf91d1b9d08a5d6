//! Augmentation of training images.

use rand::{Rng, RngExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::ImageShape;

/// Random changes to training images, drawn anew in each epoch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Augment {
    /// Most pixels that an image is shifted by in each direction; less than its size.
    #[serde(default)]
    #[schemars(extend("unit" = "pixels"))]
    pub crop_padding: u32,
    /// Colour of the border that a shift brings in.
    #[serde(default)]
    pub fill: Fill,
    /// Whether half of the images, chosen at random, are mirrored left to right.
    #[serde(default)]
    pub flip: bool,
}

/// Colour of the pixels that lie outside an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Fill {
    /// Pixels of value 0, as torchvision's `RandomCrop` fills.
    #[default]
    Black,
    /// The mean colour of the normalisation, which is 0 after it: that of the training split, unless `normalise` says otherwise.
    Mean,
}

impl Augment {
    /// Draws the view of one image. Everything is drawn whatever the settings, so that a setting does not change what others
    /// draw.
    pub(super) fn draw(self, generator: &mut impl Rng) -> View {
        let padding = i64::from(self.crop_padding);
        let down = generator.random_range(-padding..=padding) as isize;
        let right = generator.random_range(-padding..=padding) as isize;
        let flip = generator.random::<bool>() && self.flip;
        View { down, right, flip, fill: self.fill }
    }
}

/// A shifted and possibly mirrored view of an image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct View {
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
    /// Appends the view of `image`, `[channels, height, width]`, to `values`, normalised by `table`.
    pub(super) fn append(self, image: &[u8], shape: ImageShape, table: &[[f32; 256]], values: &mut Vec<f32>) {
        let size = shape.size;
        let within =
            |index: usize, shift: isize| index.checked_add_signed(shift).filter(|&index| index < size);
        for (channel, table) in image.chunks_exact(size * size).zip(table) {
            let outside = match self.fill {
                Fill::Black => table[0],
                Fill::Mean => 0.0,
            };
            for y in 0..size {
                let Some(y) = within(y, self.down) else {
                    values.resize(values.len() + size, outside);
                    continue;
                };
                let row = &channel[y * size..(y + 1) * size];
                let seen = |x| within(x, self.right).map_or(outside, |x| table[usize::from(row[x])]);
                match self.flip {
                    true => values.extend((0..size).rev().map(seen)),
                    false => values.extend((0..size).map(seen)),
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// A view of nine pixels, whose normalised values are those from 1 to 9; black is -5.
    fn seen(view: View) -> Vec<f32> {
        let table = [std::array::from_fn(|pixel| if pixel == 0 { -5.0 } else { pixel as f32 })];
        let mut values = Vec::new();
        view.append(&[1, 2, 3, 4, 5, 6, 7, 8, 9], ImageShape { channels: 1, size: 3 }, &table, &mut values);
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
