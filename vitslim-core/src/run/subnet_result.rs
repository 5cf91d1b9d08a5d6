//! `result.json` and `budget.ron`: the results of a sub-network, and the budget that it was cut by.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Value, from_value, json};

use super::folder::{BUDGET, FolderError, RESULT, RunFolder, SUBNETS};
use super::target::labels;
use crate::experiment::Budget;
use crate::report::{BudgetSummary, SubnetSummary};

/// The results of a sub-network, as its folder has them.
#[derive(Serialize, Deserialize)]
pub(crate) struct SubnetResult {
    /// The device that its speed was measured on; `None` if an earlier version did.
    pub(crate) device: Option<String>,
    #[serde(flatten)]
    pub(crate) summary: SubnetSummary,
}

impl SubnetResult {
    /// Where the results of the sub-network `label` are, from the folder of its run.
    pub(super) fn file(label: &str) -> String {
        format!("{SUBNETS}/{label}/{RESULT}")
    }

    /// The results of the sub-network `label` of the run in the folder `run`; `None` if there are none. A file that does not parse was not
    /// written by this version.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub(crate) fn read(run: &Path, label: &str) -> Result<Option<Self>, FolderError> {
        let text = RunFolder::read_in(run, &Self::file(label))?;
        Ok(text.and_then(|text| serde_json::from_str(&text).ok()))
    }
}

/// Where the budget of the sub-network `label` is, from the folder of its run.
pub(super) fn budget_file(label: &str) -> String {
    format!("{SUBNETS}/{label}/{BUDGET}")
}

/// The budget that the sub-network `label` of the run in the folder `run` was cut by; `None` if nothing says that. An earlier version wrote
/// it into the results alone.
///
/// # Errors
///
/// When a file cannot be read.
pub(super) fn cut_by(run: &Path, label: &str) -> Result<Option<Budget>, FolderError> {
    let written = RunFolder::read_in(run, &budget_file(label))?.and_then(|text| ron::from_str(&text).ok());
    let of_results = || Ok(SubnetResult::read(run, label)?.and_then(|result| budget(&result.summary.budget)));
    written.map_or_else(of_results, |budget| Ok(Some(budget)))
}

/// The sub-networks of the run in the folder `run` whose budgets are known: their labels and budgets.
///
/// # Errors
///
/// When a file cannot be read.
pub(super) fn all_cut(run: &Path) -> Result<Vec<(String, Budget)>, FolderError> {
    let cut = labels(run).into_iter().map(|label| Ok(cut_by(run, &label)?.map(|budget| (label, budget))));
    cut.filter_map(Result::transpose).collect()
}

/// What results say of `budget`.
pub(super) fn summarised(budget: &Budget) -> BudgetSummary {
    match budget {
        Budget::Share(shares) => {
            let shares = shares.iter().map(|(key, share)| (key.to_owned(), json!(share)));
            BudgetSummary::Share(shares.collect())
        }
        Budget::Macs(most) => BudgetSummary::Macs(json!(most)),
        Budget::Params(most) => BudgetSummary::Params(json!(most)),
        Budget::Latency { most, batch } => BudgetSummary::Latency { most: json!(most), batch: batch.get() },
        Budget::Tokens { fewer } => BudgetSummary::Tokens { fewer: fewer.get() },
        Budget::All(limits) => BudgetSummary::All(limits.iter().map(summarised).collect()),
    }
}

/// The budget that is [`summarised`] so; `None` if this version knows no such budget.
fn budget(summary: &BudgetSummary) -> Option<Budget> {
    match summary {
        BudgetSummary::Share(shares) => from_value(Value::Object(shares.clone())).ok().map(Budget::Share),
        BudgetSummary::Macs(most) => from_value(most.clone()).ok().map(Budget::Macs),
        BudgetSummary::Params(most) => from_value(most.clone()).ok().map(Budget::Params),
        BudgetSummary::Latency { most, batch } => {
            from_value(json!({ "Latency": { "most": most, "batch": batch } })).ok()
        }
        BudgetSummary::Tokens { fewer } => from_value(json!({ "Tokens": { "fewer": fewer } })).ok(),
        BudgetSummary::All(limits) => limits.iter().map(budget).collect::<Option<_>>().map(Budget::All),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_say_by_which_budget_a_network_was_cut() {
        for written in [
            "Share({\"hidden\":0.3,\"blocks.*.tokens\":1.0})",
            "Macs(0.5)",
            "Params(\"2.8 M\")",
            "Latency(most:\"3 ms\",batch:8)",
            "Tokens(fewer:4)",
            "All([Share({\"hidden\":0.1}),Macs(\"1 G\"),Params(0.35)])",
        ] {
            let cut: Budget = ron::from_str(written).unwrap();
            let summary = serde_json::to_string(&summarised(&cut)).unwrap();
            let read = budget(&serde_json::from_str(&summary).unwrap()).unwrap();
            assert!(read.is_same(&cut) && ron::to_string(&read).unwrap() == written, "{summary}");
        }
    }
}
