//! Random sizes and values, the same on every device.

use burn::tensor::{Tensor, TensorCreationOptions, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A generator of sizes and values.
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// The generator with this seed.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A size from 1 to `most`.
    pub fn size(&mut self, most: usize) -> usize {
        self.0.random_range(1..=most)
    }

    /// Normal values, contiguous in memory.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], std: f64) -> Values<D> {
        Values { values: self.values(shape, std), stored: shape, shape, lie: Lie::InOrder }
    }

    /// Normal values with a random memory layout.
    pub fn scattered<const D: usize>(&mut self, shape: [usize; D], std: f64) -> Values<D> {
        let last = D - 1;
        let mut stored = shape;
        let lie = match self.size(5) {
            1 => {
                stored.swap(0, last);
                Lie::AxesExchanged
            }
            2 => Lie::Backwards,
            3 => {
                stored[last] += 3;
                Lie::BehindOthers
            }
            4 => {
                stored[0] = 1;
                Lie::OneForMany
            }
            _ => Lie::InOrder,
        };
        Values { values: self.values(stored, std), stored, shape, lie }
    }

    /// Normal values that f32 holds, so that a device and a reference in f64 begin with the same.
    // Not from the device, whose generator is shared. The sum of twelve uniform numbers is about normal.
    pub(super) fn values<const D: usize>(&mut self, shape: [usize; D], std: f64) -> Vec<f64> {
        let mut value = || (0..12).map(|_| self.0.random::<f64>()).sum::<f64>() - 6.0;
        (0..shape.iter().product()).map(|_| f64::from((std * value()) as f32)).collect()
    }
}

/// Values and their memory layout.
#[derive(Clone, Debug)]
pub struct Values<const D: usize> {
    values: Vec<f64>,
    /// Shape in memory.
    stored: [usize; D],
    /// Shape of the tensor.
    shape: [usize; D],
    lie: Lie,
}

#[derive(Clone, Copy, Debug)]
enum Lie {
    InOrder,
    AxesExchanged,
    Backwards,
    BehindOthers,
    OneForMany,
}

impl<const D: usize> Values<D> {
    /// As a tensor on a device, in its float type or in a given one.
    pub fn on(&self, place: impl Into<TensorCreationOptions>) -> Tensor<D> {
        let tensor = Tensor::from_data(TensorData::new(self.values.clone(), self.stored), place);
        let last = D - 1;
        match self.lie {
            Lie::InOrder => tensor,
            Lie::AxesExchanged => tensor.swap_dims(0, last),
            Lie::Backwards => tensor.flip([0, last as isize]),
            Lie::BehindOthers => tensor.narrow(last, 2, self.shape[last]),
            Lie::OneForMany => tensor.expand(self.shape),
        }
    }

    /// As a leaf of the graph, on an autodiff device.
    pub fn leaf(&self, place: &TensorCreationOptions) -> Tensor<D> {
        self.on(place.clone()).detach().require_grad()
    }
}
