//! What the units of a network are ranked by.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::number::Count;

/// What the units of the dense network are ranked by. All but `Masks` need no search: the network is cut as it is, and `search` says
/// only what may be cut (`dimensions`) and how many images a batch has (`batch`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Importance {
    /// By the masks that the search trains: the method of ViT-Slim.
    #[default]
    Masks,
    /// By the l2 norm of all weights that go with the unit, in the layers that write it and in those that read it (Fang et al. 2023).
    /// Tokens have no weights.
    Magnitude,
    /// By how much the loss changes without the unit, to first order (Molchanov et al. 2019): the mean over the batches of the absolute
    /// gradient of a mask of 1 on it.
    Taylor {
        /// Batches of the training split to compute it on, with labels and not augmented.
        #[serde(default = "eight")]
        #[schemars(extend("unit" = "batches"))]
        batches: Count,
    },
    /// By the variance of the unit over images and tokens, where a layer reads it (Berisha et al. 2025); of a token over images.
    Variance {
        /// Batches of the training split to compute it on, without labels and not augmented.
        #[serde(default = "eight")]
        #[schemars(extend("unit" = "batches"))]
        batches: Count,
    },
    /// By numbers that are drawn by the seed: what any other must beat.
    Random,
}

impl Importance {
    /// Whether a search trains what it ranks by.
    pub fn needs_search(self) -> bool {
        self == Self::Masks
    }

    /// Batches of the training split that it takes.
    pub fn batches(self) -> usize {
        match self {
            Self::Taylor { batches } | Self::Variance { batches } => batches.get(),
            Self::Masks | Self::Magnitude | Self::Random => 0,
        }
    }

    /// As it is written: `Taylor`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Masks => "Masks",
            Self::Magnitude => "Magnitude",
            Self::Taylor { .. } => "Taylor",
            Self::Variance { .. } => "Variance",
            Self::Random => "Random",
        }
    }
}

const fn eight() -> Count {
    Count::known(8)
}
