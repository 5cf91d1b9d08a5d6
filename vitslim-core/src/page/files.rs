//! What the folder of a run holds, as far as the run has come.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::error::PageError;
use super::record::{self, Line};
use crate::data::DataContent;
use crate::experiment::{Document, Trial};
use crate::report::{Frontier, RunState, SubnetSummary, Summary};
use crate::run::{
    DATA, DATA_REMEDY, FRONTIER, NETWORK, PLAN, SUBNETS, SubnetResult, Target, budget_labels, failure,
    summary,
};
use crate::slim::Plan;
use crate::train::RECORD;

/// What to do about damaged files of a sub-network, and of the frontier.
const SUBNET_REMEDY: &str =
    "restore it, or delete the folder that it is in: the command that cut the sub-network makes it again";
const FRONTIER_REMEDY: &str = "delete it: `vitslim frontier` makes it again";

/// What the folder of a run holds.
pub(super) struct RunFiles {
    pub(super) folder: PathBuf,
    pub(super) trial: Trial,
    /// What the network starts from, where that was when the run began.
    pub(super) start: Option<String>,
    /// `experiment.ron`, as it is.
    pub(super) experiment: String,
    pub(super) state: RunState,
    pub(super) failure: Option<String>,
    pub(super) data: Option<DataFile>,
    pub(super) summary: Option<Summary>,
    /// The complete sub-networks: those of the budgets in their order, and behind them those that were cut out later.
    pub(super) subnets: Vec<Subnet>,
    /// The epochs in `metrics.jsonl`.
    pub(super) epochs: Vec<Line>,
    pub(super) frontier: Option<Frontier>,
}

/// A complete sub-network.
pub(super) struct Subnet {
    pub(super) summary: SubnetSummary,
    /// The device that its speed was measured on.
    pub(super) device: Option<String>,
    pub(super) plan: Plan,
    /// Which dimensions of its plan are token gates.
    gates: Map<String, Value>,
    /// Whether `vitslim slim` cut it, and no budget of the experiment.
    pub(super) is_later: bool,
}

impl Subnet {
    /// Whether `dimension` is a token gate.
    pub(super) fn is_gate(&self, dimension: &str) -> bool {
        self.gates.contains_key(dimension)
    }

    /// Top-1 on the test split in the end: after retraining, if it was retrained.
    pub(super) fn top1(&self) -> f64 {
        top1(&self.summary)
    }
}

/// Top-1 of a sub-network on the test split in the end.
pub(super) fn top1(subnet: &SubnetSummary) -> f64 {
    subnet.top1_retrained.unwrap_or(subnet.top1_sliced)
}

/// `data.json`, as far as a page shows it.
#[derive(Deserialize)]
pub(super) struct DataFile {
    pub(super) version: Option<String>,
    #[serde(flatten)]
    pub(super) content: DataContent,
}

/// `network.json` of a sub-network, as far as a page needs it.
#[derive(Default, Deserialize)]
struct NetworkFile {
    tokens: Map<String, Value>,
}

impl RunFiles {
    /// What the run in the folder `run` holds.
    ///
    /// # Errors
    ///
    /// When it is not the folder of a run, or a file that is there cannot be read or understood.
    pub(super) fn read(run: &Path) -> Result<Self, PageError> {
        let target = Target::find(run)?.dense();
        let folder = target.run.clone();
        let trial = Document::read(&target.experiment(), &[])?.trial()?;
        let summary = summary(&folder);
        let pretrained = trial.experiment.model.pretrained.as_ref().map(|path| path.display().to_string());
        let start = summary.as_ref().and_then(|summary| summary.start.clone()).or(pretrained);
        let of_budgets: Vec<String> = match &summary {
            Some(summary) => summary.subnets.iter().map(|subnet| subnet.label.clone()).collect(),
            None => budget_labels(&trial.experiment.budgets),
        };
        let place = |label: &str| of_budgets.iter().position(|known| known == label);
        let trial = target.own(trial);
        let labels = target.whole_run().into_iter().filter_map(|network| network.label);
        let read = labels.filter_map(|label| {
            let is_later = place(&label).is_none();
            Subnet::read(&folder, &label, is_later).transpose()
        });
        let mut subnets = read.collect::<Result<Vec<_>, _>>()?;
        subnets.sort_by_key(|subnet| place(&subnet.summary.label).unwrap_or(usize::MAX));
        let record = text(&folder.join(RECORD))?.unwrap_or_default();
        Ok(Self {
            experiment: text(&target.experiment())?.unwrap_or_default(),
            trial,
            start,
            state: RunState::of(&folder),
            failure: failure(&folder),
            data: json(&folder.join(DATA), DATA_REMEDY)?,
            summary,
            subnets,
            epochs: record::epochs(&record),
            frontier: json(&folder.join(FRONTIER), FRONTIER_REMEDY)?,
            folder,
        })
    }

    /// The device of the run, as far as that is known.
    pub(super) fn device(&self) -> Option<&str> {
        let of_subnet = self.subnets.iter().find_map(|subnet| subnet.device.as_deref());
        self.summary.as_ref().map(|summary| summary.device.as_str()).or(of_subnet)
    }
}

impl Subnet {
    /// The sub-network `label` of the run in the folder `run`; `None` if it has no results that this version knows.
    fn read(run: &Path, label: &str, is_later: bool) -> Result<Option<Self>, PageError> {
        let Some(SubnetResult { device, summary }) = SubnetResult::read(run, label)? else { return Ok(None) };
        let folder = run.join(SUBNETS).join(label);
        let path = folder.join(PLAN);
        let plan = text(&path)?.ok_or_else(|| missing(&path))?;
        let plan: Plan = ron::from_str(&plan).map_err(|error| damaged(&path, &error, SUBNET_REMEDY))?;
        // Earlier versions described no networks.
        let NetworkFile { tokens: gates } = json(&folder.join(NETWORK), SUBNET_REMEDY)?.unwrap_or_default();
        Ok(Some(Self { summary, device, plan, gates, is_later }))
    }
}

/// The text of the file at `path`, or `None` if there is none.
fn text(path: &Path) -> Result<Option<String>, PageError> {
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(PageError::Read { path: path.to_owned(), source }),
    }
}

/// What the JSON file at `path` says, or `None` if there is none. `remedy` is what to do if it is damaged.
pub(super) fn json<T: DeserializeOwned>(path: &Path, remedy: &'static str) -> Result<Option<T>, PageError> {
    let read = |text: String| serde_json::from_str(&text).map_err(|error| damaged(path, &error, remedy));
    text(path)?.map(read).transpose()
}

/// The results of the sub-networks of the run in the folder `run` that are complete.
pub(super) fn results(run: &Path) -> Result<Vec<SubnetSummary>, PageError> {
    let networks = Target { run: run.to_owned(), label: None }.whole_run().into_iter();
    let read = networks.filter_map(|network| SubnetResult::read(run, &network.label?).transpose());
    read.map(|result| Ok(result?.summary)).collect()
}

fn damaged(path: &Path, reason: &dyn std::fmt::Display, remedy: &'static str) -> PageError {
    PageError::Damaged { path: path.to_owned(), reason: reason.to_string(), remedy }
}

fn missing(path: &Path) -> PageError {
    PageError::Read { path: path.to_owned(), source: ErrorKind::NotFound.into() }
}
