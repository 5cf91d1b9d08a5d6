//! What the networks of a run are made of.

use std::collections::BTreeMap;

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
    /// SHA-256 of the weights of the networks that teach, by their stages.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) teachers: BTreeMap<String, String>,
}
