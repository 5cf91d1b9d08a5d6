//! Rotary positions of patches.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::models::ConfigError;
use crate::nn::{HeadLayout, TokenGate};
use crate::slim::{Output, SlimLayer};

/// Rotary positions: queries and keys are turned, pair by pair of their dims, by angles that grow with the place of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RopeConfig {
    /// Which dims of a head are a pair.
    pub pairing: Pairing,
    /// The periods of the `n` pairs that turn with the row are this to the power of 0, `1 / n`, `2 / n` and so on, and so are those of the
    /// column. 100 in DINOv3.
    #[schemars(extend("exclusiveMinimum" = 0))]
    pub temperature: f64,
}

impl Default for RopeConfig {
    fn default() -> Self {
        Self { pairing: Pairing::Halves, temperature: 100.0 }
    }
}

impl RopeConfig {
    pub(super) fn check(self, qk_dim: usize) -> Result<(), ConfigError> {
        let refused = |message| Err(ConfigError::new("rope", message));
        if !qk_dim.is_multiple_of(4) {
            return refused(format!(
                "queries and keys of {qk_dim} dims do not split into pairs for rows and as many for columns: a multiple of 4 does"
            ));
        }
        let temperature = self.temperature;
        if temperature.is_nan() || temperature <= 0.0 || !(self.frequency(1.0) as f32).is_finite() {
            return refused(format!("no angles follow from a temperature of {temperature}: write 100, say"));
        }
        Ok(())
    }

    /// The angle of a pair from the middle of an image to its edge; `at` is the power of its period.
    fn frequency(self, at: f64) -> f64 {
        TAU / self.temperature.powf(at)
    }
}

/// Which dims of a head are a pair.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pairing {
    /// One of its first half and one of its second, as in DINOv3.
    #[default]
    Halves,
    /// Two neighbours, as in EVA-02.
    Neighbours,
}

/// Turns queries and keys by the places of their patches, as DINOv3 does (Siméoni et al. 2025): the first half of a head's pairs by
/// the row, the others by the column. Both run from -1 to 1, and pair `i` of `n / 2` is turned by `2 pi / temperature^(2 i / n)` times
/// that. Tokens before the patches are not turned.
///
/// The periods are of each pair that is left, and no parameter: they follow from the configuration and from what was cut.
#[derive(Module, Debug)]
pub struct Rope {
    /// Angle of a pair by row and column, `[2, pairs]`, for the pairs of all heads.
    frequencies: Tensor<2>,
    /// Patches along a side of the image.
    side: usize,
    /// Which dims of a head are a pair.
    #[module(skip)]
    pub(super) pairing: Pairing,
}

impl Rope {
    /// For `heads` heads whose queries and keys have `qk_dim` dims each, in images with `side` patches in a row.
    pub(super) fn new(rope: RopeConfig, [heads, qk_dim, side]: [usize; 3], device: &Device) -> Self {
        let pairs = qk_dim / 2;
        let along = pairs / 2;
        let frequency = |index: usize| rope.frequency(index as f64 / along as f64);
        let of = |axis: usize| {
            (0..pairs).map(move |pair| if pair / along == axis { frequency(pair % along) } else { 0.0 })
        };
        let each = |axis| (0..heads).flat_map(move |_| of(axis));
        let values: Vec<f32> = each(0).chain(each(1)).map(|value| value as f32).collect();
        Self {
            frequencies: Tensor::from_data(TensorData::new(values, [2, heads * pairs]), device),
            side,
            pairing: rope.pairing,
        }
    }

    /// How the queries and keys of the tokens behind a gate are turned.
    pub(super) fn turns(&self, tokens: &TokenGate) -> Turns {
        let angles = self.angles(tokens);
        Turns { cos: angles.clone().cos(), sin: angles.sin(), pairing: self.pairing }
    }

    /// The angle of each pair at each token, `[tokens, pairs]`. Not by a matrix product, whose precision may be less.
    fn angles(&self, tokens: &TokenGate) -> Tensor<2> {
        let place = |index: usize| ((index as f64 + 0.5) / self.side as f64 * 2.0 - 1.0) as f32;
        let patches = tokens.numbers();
        let along = |axis: usize, of: &dyn Fn(usize) -> usize| {
            let before = std::iter::repeat_n(0.0, tokens.prefix);
            let places: Vec<f32> = before.chain(patches.iter().map(|patch| place(of(*patch)))).collect();
            let shape = [places.len(), 1];
            let places = Tensor::<2>::from_data(TensorData::new(places, shape), &self.frequencies.device());
            places * self.frequencies.clone().narrow(0, axis, 1)
        };
        along(0, &|patch| patch / self.side) + along(1, &|patch| patch % self.side)
    }
}

/// By how much the pairs of each token are turned.
pub(super) struct Turns {
    /// `[tokens, pairs]`
    cos: Tensor<2>,
    /// `[tokens, pairs]`
    sin: Tensor<2>,
    pairing: Pairing,
}

impl Turns {
    /// Queries or keys, turned. The dims of a head are then ordered (pair, 2), whatever the pairing: the scores add them up.
    ///
    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, features]`, ordered (head, dim)
    pub(super) fn of(&self, x: Tensor<3>, heads: &HeadLayout) -> Tensor<3> {
        let [batch, tokens, features] = x.dims();
        if features == 0 {
            return x;
        }
        let x = match self.pairing {
            Pairing::Halves => heads.map_heads(x, |x| {
                let [batch, tokens, heads, dims] = x.dims();
                let halves = x.reshape([batch * tokens, heads, 2, dims / 2]);
                halves.swap_dims(2, 3).reshape([batch, tokens, heads, dims])
            }),
            Pairing::Neighbours => x,
        };
        let factor = |of: &Tensor<2>| of.clone().cast(x.dtype()).reshape([1, tokens, features / 2, 1]);
        let (cos, sin) = (factor(&self.cos), factor(&self.sin));
        let pairs = x.reshape([batch, tokens, features / 2, 2]);
        let (first, second) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
        let turned = [first.clone() * cos.clone() - second.clone() * sin.clone(), first * sin + second * cos];
        Tensor::cat(turned.to_vec(), 3).reshape([batch, tokens, features])
    }
}

impl SlimLayer<Output> for Rope {
    fn extent(&self, _: Output) -> usize {
        self.frequencies.dims()[1]
    }

    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        let values = self.frequencies.to_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
        vec![
            ("frequencies", values.into()),
            ("side", self.side.into()),
            ("halves", (self.pairing == Pairing::Halves).into()),
        ]
    }

    /// No mask multiplies an angle.
    fn scale(self, _: Output, _: Tensor<1>) -> Self {
        self
    }

    fn select(self, _: Output, kept: Tensor<1, Int>) -> Self {
        Self { frequencies: self.frequencies.select(1, kept), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slim::index_tensor;

    #[test]
    fn tokens_that_are_left_keep_their_places() {
        let device = Device::flex();
        let rope = Rope::new(RopeConfig::default(), [2, 8, 4], &device);
        let mut gate = TokenGate::new(2 + 16, 2);
        let all = rope.angles(&gate);
        gate.left = Some(vec![1, 5, 6]);
        let left = rope.angles(&gate.sliced(index_tensor(&[0, 1, 3, 7, 8], &device), None));
        left.into_data()
            .assert_eq(&all.clone().select(0, index_tensor(&[0, 1, 3, 7, 8], &device)).into_data(), true);
        // The tokens before the patches are not turned, and no two patches alike.
        let rows: Vec<Vec<f32>> = (0..18)
            .map(|token| all.clone().narrow(0, token, 1).into_data().try_into_vec().unwrap())
            .collect();
        assert!(rows[..2].iter().flatten().all(|angle| *angle == 0.0));
        for (token, row) in rows.iter().enumerate().skip(2) {
            assert!(!rows[..token].contains(row), "{token}");
        }
    }
}
