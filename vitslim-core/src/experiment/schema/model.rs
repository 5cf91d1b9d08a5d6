//! A network as it is written.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use ron::value::RawValue;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::ser::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A network: its architecture and configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name of the architecture, for example `"vit"`. `vitslim architectures` lists them.
    pub architecture: String,
    /// Name of a configuration to start from. Left out, it is the architecture's default, or that of the network of a run that
    /// `pretrained` names.
    #[serde(default)]
    pub preset: Option<String>,
    /// Fields of the configuration that differ from the preset. Image size, channels and classes are the data's.
    #[serde(default)]
    pub config: Option<Raw>,
    /// Trained weights to start from instead of random ones: a `.safetensors` file, a checkpoint of PyTorch, or the index of its
    /// shards. Or a network that a run left, as `vitslim eval` names it: `runs/a/seed=1/share-0.5`, or a file of `vitslim export --to
    /// safetensors`; what was cut stays cut. A relative path starts at the current folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<PathBuf>,
    /// Parameters that `pretrained` may lack, or may have beyond the network, as patterns: `blocks.*.ls1.gamma`. They are left as
    /// initialised, or not used. A classifier for other classes needs no mention.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub allow_missing: Vec<String>,
}

impl Model {
    /// The same model, with its weights where `to` says.
    #[must_use]
    pub(crate) fn map_pretrained(self, to: impl FnOnce(&Path) -> PathBuf) -> Self {
        let pretrained = self.pretrained.as_deref().map(to);
        Self { pretrained, ..self }
    }
}

/// RON text that stands for a value whose type only the architecture knows, read and written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Raw(String);

impl Raw {
    /// The value that is written as `text`.
    pub(super) fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    pub fn text(&self) -> &str {
        &self.0
    }
}

impl Serialize for Raw {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        RawValue::from_ron(&self.0).map_err(S::Error::custom)?.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        Ok(Self(raw.trim().get_ron().to_owned()))
    }
}

impl JsonSchema for Raw {
    fn schema_name() -> Cow<'static, str> {
        "Raw".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::from(true)
    }
}
