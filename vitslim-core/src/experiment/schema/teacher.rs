//! Who teaches a stage beside the labels, and how.

use std::fmt;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::data::Normalise;
use super::model::{Model, Raw};
use super::number::{Portion, Positive};

/// The network whose predictions a stage learns beside the labels. It sees the same images as the stage trains on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Teacher {
    /// The dense network of the same run, before its search. It teaches the search or the sub-networks.
    Dense {
        /// What is learnt from it.
        #[serde(default)]
        kind: Distillation,
        /// How much its features count beside: the mean squared difference of the patches that both networks have, behind the last
        /// norm, is added to the loss with this weight (Rao et al. 2021, whose weight is 0.5). Left out, they are not compared.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        features: Option<Positive>,
    },
    /// Another network. The name may be left out: `teacher: (pretrained: "runs/a/seed=1")`.
    Teacher {
        /// Its weights: a network that a run left, or a file, as for `pretrained` in `model`.
        pretrained: PathBuf,
        /// Name of its architecture. Left out, it is that of the run that left the network.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        architecture: Option<String>,
        /// As in `model`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preset: Option<String>,
        /// As in `model`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        config: Option<Raw>,
        /// As in `model`, for what of the file is not used: a teacher lacks nothing, and classifies by the classes of the data.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        #[schemars(extend("default" = []))]
        allow_missing: Vec<String>,
        /// How its images are normalised, but for `Split`. Left out, as in the run that left the network; those of a file of weights
        /// alone as the data are.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        normalise: Option<Normalise>,
        /// What is learnt from it.
        #[serde(default)]
        kind: Distillation,
    },
}

/// What a stage learns from its teacher, and how much of its loss that is. A second head on a distillation token learns from the
/// teacher alone, and the first from the labels alone; a network with one head learns both with it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub enum Distillation {
    /// The probabilities of all classes (Hinton et al. 2015): the divergence of the student's from the teacher's, both at a
    /// temperature, times its square.
    Soft {
        /// What the logits of both are divided by. The default is that of the DeiT paper.
        #[serde(default = "three")]
        temperature: Positive,
        /// Share of the teacher in the loss; the rest is that of the labels.
        #[serde(default = "half")]
        share: Portion,
    },
    /// The class that the teacher predicts, as a label that is not smoothed (Touvron et al. 2020).
    Hard {
        /// Share of the teacher in the loss; the rest is that of the labels.
        #[serde(default = "half")]
        share: Portion,
    },
}

impl Teacher {
    /// What is learnt from it.
    pub fn kind(&self) -> Distillation {
        match self {
            Self::Dense { kind, .. } | Self::Teacher { kind, .. } => *kind,
        }
    }

    /// How much the features of the dense network count in the loss; `None` if they are not compared.
    pub fn features(&self) -> Option<Positive> {
        match self {
            Self::Dense { features, .. } => *features,
            Self::Teacher { .. } => None,
        }
    }

    /// The same teacher, with its weights where `to` says.
    #[must_use]
    pub(crate) fn map_pretrained(mut self, to: impl FnOnce(&Path) -> PathBuf) -> Self {
        if let Self::Teacher { pretrained, .. } = &mut self {
            *pretrained = to(pretrained);
        }
        self
    }

    /// The network, of this `architecture` if none is written, as the model of an experiment; `None` of the dense network.
    pub(crate) fn model(&self, architecture: &str) -> Option<Model> {
        let Self::Teacher { pretrained, architecture: written, preset, config, allow_missing, .. } = self
        else {
            return None;
        };
        Some(Model {
            architecture: written.as_deref().unwrap_or(architecture).to_owned(),
            preset: preset.clone(),
            config: config.clone(),
            pretrained: Some(pretrained.clone()),
            allow_missing: allow_missing.clone(),
        })
    }
}

/// What is learnt from it, as it is written.
impl fmt::Display for Teacher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let features = self.features().map(|weight| format!(", features: {}", weight.get()));
        write!(f, "{}{}", self.kind(), features.unwrap_or_default())
    }
}

impl Distillation {
    /// Share of the teacher in the loss.
    pub fn share(self) -> f64 {
        let (Self::Soft { share, .. } | Self::Hard { share }) = self;
        share.get()
    }
}

/// As it is written.
impl fmt::Display for Distillation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Soft { temperature, share } => {
                write!(f, "Soft(temperature: {}, share: {})", temperature.get(), share.get())
            }
            Self::Hard { share } => write!(f, "Hard(share: {})", share.get()),
        }
    }
}

/// What a sub-network lost is in the probabilities of all classes, not in the largest alone.
impl Default for Distillation {
    fn default() -> Self {
        Self::Soft { temperature: three(), share: half() }
    }
}

const fn three() -> Positive {
    Positive::known(3.0)
}

const fn half() -> Portion {
    Portion::known(0.5)
}
