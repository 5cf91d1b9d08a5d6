//! The experiment as a whole.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::budget::{AtLeast, Budget, RoundTo};
use super::data::Data;
use super::importance::Importance;
use super::keyed::Keyed;
use super::model::{Model, Raw};
use super::number::Count;
use super::search::{CutRule, Search};
use super::teacher::Teacher;
use super::training::Training;
use crate::nn::Precision;
use crate::slim::{CutTokens, NormStatistics, RankingRule};

/// An experiment: pretraining, a search, and sub-networks that are cut out of it and retrained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Names the run's folder: letters, digits, `-`, `_` and `.`, the first a letter or a digit, at most 200 in all.
    pub name: RunName,
    /// Seeds everything random: initial weights, the validation split, batches, augmentation, dropout.
    #[serde(default)]
    pub seed: u64,
    /// Steps between two lines of `metrics.jsonl`. The end of an epoch always writes one.
    #[serde(default = "log_every")]
    #[schemars(extend("unit" = "steps"))]
    pub log_every: Count,
    /// Devices that share each training batch, named as for `--device`; the first one also evaluates and measures. Left out, the
    /// command line decides. A run may resume on other devices.
    #[serde(default, skip_serializing)]
    pub devices: Option<Vec<String>>,
    /// Which checkpoints of a stage stay once it is complete.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Keep::default()))]
    pub keep: Keep,
    /// Precision of matrix products, in training and everywhere else.
    #[serde(default)]
    pub precision: Precision,
    /// The network that is searched.
    pub model: Model,
    /// The images.
    pub data: Data,
    /// Training of the dense network before the search. Left out, the search starts from the initial weights.
    #[serde(default)]
    pub pretrain: Option<Training>,
    /// Training with masks, which decides what can be cut.
    pub search: Search,
    /// The sub-networks to cut out of the searched network: at least one, no two the same.
    pub budgets: Vec<Budget>,
    /// What becomes of the trained values of the masks that are kept.
    #[serde(default)]
    pub cut: CutRule,
    /// What layer norms and RMS norms take their statistics over, where the embedding width or other features that they normalise are cut.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("default" = NormStatistics::default()))]
    pub norm: NormStatistics,
    /// What becomes of the tokens that are cut.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("default" = CutTokens::default()))]
    pub tokens: CutTokens,
    /// What the units of the network are ranked by. All but `Masks` skip the search.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("default" = Importance::default()))]
    pub importance: Importance,
    /// Whether the linear layers of a sub-network make up for what was cut of their inputs, by least squares on 8 batches of the training
    /// split (`search.batch` images each, not augmented, without labels), before it is retrained.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    #[schemars(extend("default" = false))]
    pub correct: bool,
    /// How masks of different keys compare where a budget limits the network as a whole: `Macs`, `Params`, `Latency`.
    #[serde(default, skip_serializing_if = "is_default")]
    #[schemars(extend("default" = RankingRule::default()))]
    pub ranking: RankingRule,
    /// Units that every sub-network keeps of what a key names: `{ "hidden": Layer(64), "head_dim": Group(8) }`.
    #[serde(default, skip_serializing_if = "Keyed::is_empty")]
    #[schemars(extend("default" = {}))]
    pub keep_at_least: Keyed<AtLeast>,
    /// Parts of the network that no budget cuts, as paths or globs: `["blocks.0", "blocks.*.attn"]`. Their masks are trained and ranked all
    /// the same, and kept first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(extend("default" = []))]
    pub protect: Vec<String>,
    /// Rounds what is left of each head, and of each layer's hidden units or width, to the nearest multiple of this, after the
    /// ranking; 8 suits a processor's vectors. A number is for all, `{ "hidden": 32 }` for what a key names. Tokens are not rounded.
    /// Left out, shares are kept exactly.
    #[serde(default)]
    #[schemars(extend("unit" = "units"))]
    pub round_to: Option<RoundTo>,
    /// Training of each sub-network. Left out, they stay as they were cut.
    #[serde(default)]
    pub retrain: Option<Training>,
}

/// Which checkpoints of a stage stay once it is complete.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Keep {
    /// The weights that it ended with, which later stages, `vitslim eval` and further budgets need. While it trains, its last two
    /// epochs stay, and with early stopping its best.
    #[default]
    Last,
    /// Everything, from its first epoch on.
    All,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const fn log_every() -> Count {
    Count::known(50)
}

impl Experiment {
    /// The whole experiment as a file, every default spelled out, with the model's configuration as `config` has it. It names no preset:
    /// `config` is whole, and may leave out a field that has its default where the preset has another value.
    ///
    /// # Errors
    ///
    /// When `config` holds what RON cannot write.
    pub fn resolved(&self, config: &impl Serialize) -> Result<String, ron::Error> {
        let pretty = ron::ser::PrettyConfig::new();
        let config = ron::ser::to_string_pretty(config, pretty.clone())?;
        let mut whole = self.clone();
        whole.model.preset = None;
        // The text is embedded as it is, two levels deep. No string in it spans lines: its line breaks are escaped.
        whole.model.config = Some(Raw::new(config.replace('\n', "\n        ")));
        let text = ron::ser::to_string_pretty(&whole, pretty)?;
        Ok(format!("Experiment{text}\n"))
    }

    /// The training of the search; `None` if it is skipped.
    pub fn search_training(&self) -> Option<Training> {
        self.importance.needs_search().then(|| self.search.training())
    }

    /// What becomes of the value of a mask that is kept. A score is no factor of the weights.
    pub fn cut_rule(&self) -> CutRule {
        if self.importance.needs_search() { self.cut } else { CutRule::Hard }
    }

    /// The teachers, each with the name of its stage.
    pub fn teachers(&self) -> impl Iterator<Item = (&'static str, &Teacher)> {
        fn of(training: &Option<Training>) -> Option<&Teacher> {
            training.as_ref()?.teacher.as_ref()
        }
        let searches = self.importance.needs_search();
        let teachers = [
            ("pretrain", of(&self.pretrain)),
            ("search", self.search.teacher.as_ref().filter(|_| searches)),
            ("retrain", of(&self.retrain)),
        ];
        teachers.into_iter().filter_map(|(stage, teacher)| Some((stage, teacher?)))
    }

    /// The same experiment, with the weights of its teachers where `to` says.
    #[must_use]
    pub(crate) fn map_teachers(mut self, to: impl Fn(&Path) -> PathBuf) -> Self {
        let stages = [self.pretrain.as_mut(), self.retrain.as_mut()].into_iter().flatten();
        let teachers = stages.map(|training| &mut training.teacher).chain([&mut self.search.teacher]);
        teachers.for_each(|teacher| *teacher = teacher.take().map(|teacher| teacher.map_pretrained(&to)));
        self
    }
}

/// Most characters of a name: file systems take 255, and files that are called after it have endings.
const LONGEST_NAME: usize = 200;

/// A name that a folder can have: letters, digits, `-`, `_` and `.`, the first a letter or a digit, at most 200 in all.
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
        } else if name.len() > LONGEST_NAME {
            Err(format!(
                "names a folder and may have at most {LONGEST_NAME} characters, but has {}",
                name.len()
            ))
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
