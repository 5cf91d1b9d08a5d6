//! What a search result is cut to.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::keyed::Keyed;
use super::number::Portion;

/// How much of the model is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub enum Budget {
    /// The part of the units that each key keeps, greater than 0 and at most 1. Keys as under `dimensions`.
    Share(Keyed<Portion>),
}

impl Budget {
    /// Whether `other` asks for the same, in whatever order it is written.
    pub fn is_same(&self, other: &Budget) -> bool {
        let (Self::Share(ours), Self::Share(theirs)) = (self, other);
        ours.len() == theirs.len() && ours.iter().all(|(key, part)| theirs.get(key) == Some(part))
    }
}

/// What becomes of the soft values of masks that are kept when a sub-network is cut out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CutRule {
    /// They are folded into the weights.
    #[default]
    Fold,
    /// They count as 1.
    Hard,
}
