//! Windows of an image.

use burn::module::Module;
use burn::tensor::{DType, Device, Tensor, TensorData};

/// Added to the scores of patches that are neighbours only because the shift wraps around, as in the original.
const APART: f32 = -100.0;

/// How the patches of an image split into square windows.
#[derive(Module, Debug)]
pub struct Windows {
    /// Patches along each side of the image.
    pub side: usize,
    /// Patches along each side of a window.
    pub size: usize,
    /// Patches by which the windows are shifted down and to the right, wrapping around at the edges of the image.
    pub shift: usize,
    /// Separates patches that are neighbours only because of the wrap, `[windows, patches, patches]`.
    mask: Option<Tensor<3>>,
}

impl Windows {
    /// Windows of `size` of an image of `side`, which is a multiple of it or smaller, in which case the image is one window.
    /// With several windows, `shifted` shifts them by half their size.
    pub fn new(side: usize, size: usize, shifted: bool, device: &Device) -> Self {
        let size = size.min(side);
        let shift = if shifted && size < side { size / 2 } else { 0 };
        let mask = (shift > 0).then(|| mask(side, size, shift, device));
        Self { side, size, shift, mask }
    }

    /// What is added to the scores, `[windows, patches, patches]`, if anything.
    pub fn mask(&self) -> Option<&Tensor<3>> {
        self.mask.as_ref()
    }

    /// The same with a mask of another precision.
    pub(crate) fn of(self, dtype: DType) -> Self {
        Self { mask: self.mask.map(|mask| mask.cast(dtype)), ..self }
    }

    /// Windows of an image.
    pub(super) fn count(&self) -> usize {
        (self.side / self.size).pow(2)
    }

    /// # Shapes
    ///
    /// - x: `[batch, side * side, dim]`
    /// - output: `[batch * windows, size * size, dim]`
    pub fn split(&self, x: Tensor<3>) -> Tensor<3> {
        let [batch, _, dim] = x.dims();
        let (along, size) = (self.side / self.size, self.size);
        self.rolled(x, -(self.shift as isize))
            .reshape([batch, along, size, along, size, dim])
            .swap_dims(2, 3)
            .reshape([batch * along * along, size * size, dim])
    }

    /// The inverse of [`split`](Self::split).
    ///
    /// # Shapes
    ///
    /// - windows: `[batch * windows, size * size, dim]`
    /// - output: `[batch, side * side, dim]`
    pub fn join(&self, windows: Tensor<3>) -> Tensor<3> {
        let [count, _, dim] = windows.dims();
        let (along, size) = (self.side / self.size, self.size);
        let batch = count / (along * along);
        let x = windows.reshape([batch, along, along, size, size, dim]).swap_dims(2, 3).reshape([
            batch,
            self.side * self.side,
            dim,
        ]);
        self.rolled(x, self.shift as isize)
    }

    /// `x`, `[batch, side * side, dim]`, with its patches moved down and to the right by `shift`.
    fn rolled(&self, x: Tensor<3>, shift: isize) -> Tensor<3> {
        if shift == 0 {
            return x;
        }
        let [batch, patches, dim] = x.dims();
        let image = x.reshape([batch, self.side, self.side, dim]);
        image.roll(&[shift, shift], &[1, 2]).reshape([batch, patches, dim])
    }
}

/// Row and column of each patch of a square of `side`.
pub(crate) fn positions(side: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
    (0..side * side).map(move |patch| (patch / side, patch % side))
}

fn mask(side: usize, size: usize, shift: usize, device: &Device) -> Tensor<3> {
    // In the shifted image, what lies beyond `side - shift` wrapped around.
    let came_around = |place: usize| place >= side - shift;
    let along = side / size;
    let mut values = Vec::with_capacity(along * along * size.pow(4));
    for (window_row, window_column) in positions(along) {
        let pieces = positions(size).map(|(row, column)| {
            (came_around(window_row * size + row), came_around(window_column * size + column))
        });
        for query in pieces.clone() {
            values.extend(pieces.clone().map(|key| if key == query { 0.0 } else { APART }));
        }
    }
    Tensor::from_data(TensorData::new(values, [along * along, size * size, size * size]), device)
}
