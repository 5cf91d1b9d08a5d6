//! The name of a run.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A name that a folder can have: letters, digits, `-`, `_` and `.`, the first a letter or a digit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
pub struct RunName(String);

impl RunName {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for RunName {
    type Error = String;

    fn try_from(name: String) -> Result<Self, String> {
        let wrong = name.chars().find(|&c| !c.is_ascii_alphanumeric() && !matches!(c, '-' | '_' | '.'));
        if name.is_empty() {
            Err("must not be empty: it names the folder of the run".to_owned())
        } else if let Some(c) = wrong {
            Err(format!("names a folder and may have letters, digits, `-`, `_` and `.`, but has {c:?}"))
        } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            Err("names a folder and must begin with a letter or a digit".to_owned())
        } else {
            Ok(Self(name))
        }
    }
}

impl From<RunName> for String {
    fn from(name: RunName) -> String {
        name.0
    }
}
