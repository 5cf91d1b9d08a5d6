//! Rotary positions of patches.

use std::f64::consts::TAU;

use burn::module::Module;
use burn::tensor::{Device, Int, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::config::VitConfig;
use crate::models::ConfigError;
use crate::nn::{HeadLayout, TokenGate};
use crate::slim::{Output, SlimLayer};

/// Rotary positions: queries and keys are turned, pair by pair of their dims, by angles that grow with the place of a patch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RopeConfig {
    /// Which dims of a head are a pair.
    pub pairing: Pairing,
    /// What periods grow by from the shortest to one more than the longest: 100 in DINOv3.
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
        if !qk_dim.is_multiple_of(4) {
            let message = format!(
                "queries and keys of {qk_dim} dims do not split into pairs for rows and as many for columns: a multiple of 4 does"
            );
            return Err(ConfigError::new("rope", message));
        }
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            let message = format!("a temperature of {} is not above 0", self.temperature);
            return Err(ConfigError::new("rope", message));
        }
        Ok(())
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
    /// Whether the first dims of all pairs of a head come before their second dims.
    is_halved: bool,
}

impl Rope {
    pub(super) fn new(rope: RopeConfig, config: &VitConfig, device: &Device) -> Self {
        let pairs = config.qk_dim() / 2;
        let along = pairs / 2;
        let frequency = |index: usize| TAU / rope.temperature.powf(index as f64 / along as f64);
        let of = |axis: usize| {
            (0..pairs).map(move |pair| if pair / along == axis { frequency(pair % along) } else { 0.0 })
        };
        let each = |axis| (0..config.heads).flat_map(move |_| of(axis));
        let values: Vec<f32> = each(0).chain(each(1)).map(|value| value as f32).collect();
        Self {
            frequencies: Tensor::from_data(TensorData::new(values, [2, config.heads * pairs]), device),
            side: config.image_size / config.patch_size,
            is_halved: rope.pairing == Pairing::Halves,
        }
    }

    /// Queries or keys, turned. The dims of a head are then ordered (pair, 2), whatever the pairing: the scores add them up.
    ///
    /// # Shapes
    ///
    /// - x, output: `[batch, tokens, features]`, ordered (head, dim)
    pub(super) fn turned(&self, x: Tensor<3>, heads: &HeadLayout, tokens: &TokenGate) -> Tensor<3> {
        let [batch, count, features] = x.dims();
        if features == 0 {
            return x;
        }
        let x = match self.is_halved {
            true => heads.map_heads(x, |x| {
                let [batch, tokens, heads, dims] = x.dims();
                x.reshape([batch * tokens, heads, 2, dims / 2])
                    .swap_dims(2, 3)
                    .reshape([batch, tokens, heads, dims])
            }),
            false => x,
        };
        let angles = self.angles(tokens).cast(x.dtype());
        let [cos, sin] =
            [angles.clone().cos(), angles.sin()].map(|of| of.reshape([1, count, features / 2, 1]));
        let pairs = x.reshape([batch, count, features / 2, 2]);
        let (first, second) = (pairs.clone().narrow(3, 0, 1), pairs.narrow(3, 1, 1));
        let turned = [first.clone() * cos.clone() - second.clone() * sin.clone(), first * sin + second * cos];
        Tensor::cat(turned.to_vec(), 3).reshape([batch, count, features])
    }

    /// The angle of each pair at each token that is left, `[tokens, pairs]`. Not a matrix product, whose precision may be less.
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

impl SlimLayer<Output> for Rope {
    fn extent(&self, _: Output) -> usize {
        self.frequencies.dims()[1]
    }

    fn constants(&self) -> Vec<(&'static str, serde_json::Value)> {
        let values = self.frequencies.to_data().convert::<f32>().try_into_vec::<f32>().unwrap_or_default();
        vec![("frequencies", values.into()), ("side", self.side.into()), ("halves", self.is_halved.into())]
    }

    /// No mask multiplies an angle.
    fn scale(self, _: Output, _: Tensor<1>) -> Self {
        self
    }

    fn select(self, _: Output, kept: Tensor<1, Int>) -> Self {
        Self { frequencies: self.frequencies.select(1, kept), ..self }
    }
}
