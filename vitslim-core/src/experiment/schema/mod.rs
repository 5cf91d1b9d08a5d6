//! The typed experiment: what may be written in a file, with units, ranges and defaults.

mod budget;
mod data;
mod keyed;
mod name;
mod number;
mod raw;
mod search;
mod training;
mod validate;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::nn::Precision;

pub use self::budget::{Budget, CutRule};
pub use self::data::Data;
pub use self::keyed::Keyed;
pub use self::name::RunName;
pub use self::number::{
    Count, Finite, Fraction, LayerDecay, NonNegative, Portion, Positive, ProperFraction, Rate,
};
pub use self::raw::Raw;
pub use self::search::{Freeze, Masks, Search, SearchedDimension};
pub use self::training::{Optimizer, Schedule, Training};
pub(super) use self::validate::validate;
pub(crate) use self::validate::{STAGES, batch_of};

/// An experiment: pretrain, search, cut to the budgets, retrain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Experiment {
    /// Name of the run's folder: letters, digits, `-`, `_` and `.`.
    pub name: RunName,
    /// Seed of everything that is drawn at random.
    #[serde(default)]
    pub seed: u64,
    /// Steps between two lines of `metrics.jsonl`, beside the one an epoch.
    #[serde(default = "log_every")]
    #[schemars(extend("unit" = "steps"))]
    pub log_every: Count,
    /// Devices that share the batches of training, as `--device` names them; the first evaluates and measures. Left out, that
    /// of the command line. A run may go on on others, so that they are no part of what it is known by.
    #[serde(default, skip_serializing)]
    pub devices: Option<Vec<String>>,
    /// What the network multiplies matrices in, in training and wherever else it is computed: `F32`, `Tf32` or `Bf16`.
    #[serde(default)]
    pub precision: Precision,
    /// The model.
    pub model: Model,
    /// The data.
    pub data: Data,
    /// Training before the search. Left out, the search starts from the model as it is.
    #[serde(default)]
    pub pretrain: Option<Training>,
    /// The search.
    pub search: Search,
    /// What is cut out of the search's result: at least one, none of them twice.
    pub budgets: Vec<Budget>,
    /// What becomes of the soft values of kept masks.
    #[serde(default)]
    pub cut: CutRule,
    /// What is left of each head, and of each layer's hidden units or width, is rounded to the nearest multiple of this after
    /// the ranking: 8 makes the most of a processor's vectors. Tokens are not rounded. Left out, the budget is kept to the
    /// unit.
    #[serde(default)]
    #[schemars(extend("unit" = "units"))]
    pub round_to: Option<Count>,
    /// Training of each sub-network. Left out, they stay as they were cut.
    #[serde(default)]
    pub retrain: Option<Training>,
}

const fn log_every() -> Count {
    Count::known(50)
}

/// Which model is searched.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Name of the architecture, for example `"vit"`.
    pub architecture: String,
    /// Name of one of the architecture's presets. Left out, there is none.
    #[serde(default)]
    pub preset: Option<String>,
    /// Fields of the architecture's configuration, over those of the preset. Left out, nothing is changed.
    #[serde(default)]
    pub config: Option<Raw>,
}

impl Experiment {
    /// The whole experiment as a file, every default spelled out, with the model's configuration as `config` has it.
    ///
    /// # Errors
    ///
    /// When `config` holds what RON cannot write.
    pub fn resolved(&self, config: &impl Serialize) -> Result<String, ron::Error> {
        let pretty = ron::ser::PrettyConfig::new();
        let config = ron::ser::to_string_pretty(config, pretty.clone())?;
        let mut whole = self.clone();
        // The text is embedded as it is, two levels deep. No string in it spans lines: its line breaks are escaped.
        whole.model.config = Some(Raw::new(config.replace('\n', "\n        ")));
        let text = ron::ser::to_string_pretty(&whole, pretty)?;
        Ok(format!("Experiment{text}\n"))
    }
}
