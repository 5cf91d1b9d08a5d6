//! Sizes and values drawn at random, the same on every device.

use burn::tensor::{Device, Tensor, TensorData};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Draws sizes and values.
pub struct Draw(ChaCha8Rng);

impl Draw {
    /// What `seed` gives.
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A size from 1 to `most`.
    pub fn size(&mut self, most: usize) -> usize {
        self.0.random_range(1..=most)
    }

    /// Normal values that lie one after the other.
    pub fn normal<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Values<D> {
        Values { values: self.values(shape, deviation), stored: shape, shape, lie: Lie::InOrder }
    }

    /// Normal values that lie in one of the ways in which they may lie.
    pub fn scattered<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Values<D> {
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
        Values { values: self.values(stored, deviation), stored, shape, lie }
    }

    // Not by the device, whose generator others share. Twelve uniform numbers are as good as normal.
    fn values<const D: usize>(&mut self, shape: [usize; D], deviation: f64) -> Vec<f64> {
        let mut value = || (0..12).map(|_| self.0.random::<f64>()).sum::<f64>() - 6.0;
        (0..shape.iter().product()).map(|_| deviation * value()).collect()
    }
}

/// Values, and how they lie in memory.
#[derive(Clone, Debug)]
pub struct Values<const D: usize> {
    values: Vec<f64>,
    /// Shape as they lie.
    stored: [usize; D],
    /// Shape as they are used.
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
    /// As a tensor of `device`.
    pub fn on(&self, device: &Device) -> Tensor<D> {
        let tensor = Tensor::from_data(TensorData::new(self.values.clone(), self.stored), device);
        let last = D - 1;
        match self.lie {
            Lie::InOrder => tensor,
            Lie::AxesExchanged => tensor.swap_dims(0, last),
            Lie::Backwards => tensor.flip([0, last as isize]),
            Lie::BehindOthers => tensor.narrow(last, 2, self.shape[last]),
            Lie::OneForMany => tensor.expand(self.shape),
        }
    }

    /// As a leaf of the graph of `device`, which differentiates.
    pub fn leaf(&self, device: &Device) -> Tensor<D> {
        self.on(device).detach().require_grad()
    }
}
