//! What the networks of a run are made of.

use serde::{Deserialize, Serialize};

use crate::data::DataContent;

/// What the networks of a run are made of beside its settings, by content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Sources {
    #[serde(flatten)]
    pub(crate) data: DataContent,
    /// SHA-256 of the weights that it starts from; `None` if they are random.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pretrained: Option<String>,
}
