//! The report of a sweep: `sweep.json`, `sweep.csv` and a table, with one row per sub-network.

use std::collections::BTreeSet;

use comfy_table::CellAlignment;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::run_state::RunState;
use super::summary::{LatencySummary, SubnetSummary, Summary};
use super::table::{fraction, lines, plain, push, short, starts_as, trial_name};

/// Columns for the name of a trial.
const NAME_WIDTH: usize = 30;

/// Columns for the label of a sub-network.
const LABEL_WIDTH: usize = 15;

/// The trials of a sweep and their states.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SweepReport {
    /// Name of the experiment.
    pub name: String,
    /// The trials, in the order of the file.
    pub trials: Vec<TrialReport>,
}

/// A trial and its state.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrialReport {
    /// Its name.
    pub trial: String,
    /// Its values of the settings that differ between trials.
    pub differing: Map<String, Value>,
    /// Its state.
    pub state: RunState,
    /// Why it failed.
    pub failure: Option<String>,
    /// Its summary, once complete.
    pub summary: Option<Summary>,
}

impl SweepReport {
    /// Number of trials in `state`.
    pub fn count(&self, state: RunState) -> usize {
        self.trials.iter().filter(|trial| trial.state == state).count()
    }

    /// The sweep as CSV: one row per sub-network, and one for each trial without sub-networks.
    ///
    /// # Errors
    ///
    /// When the `csv` crate cannot write a value, which does not happen.
    pub fn csv(&self) -> Result<String, csv::Error> {
        let differing = self.differing();
        let summaries = self.trials.iter().filter_map(|trial| trial.summary.as_ref());
        let subnets = summaries.flat_map(|summary| &summary.subnets);
        let kept: BTreeSet<&String> = subnets.flat_map(|subnet| subnet.kept.keys()).collect();
        let mut writer = csv::Writer::from_writer(Vec::new());
        let fixed = |name: &str| ["trial", "state", "network"].contains(&name) || NUMBERS.contains(&name);
        let swept = differing.iter().map(|name| match fixed(name) {
            true => format!("swept.{name}"),
            false => name.clone(),
        });
        let head = ["trial".to_owned(), "state".to_owned()].into_iter().chain(swept);
        let head = head.chain(["network".to_owned()]).chain(kept.iter().map(|name| format!("kept.{name}")));
        writer.write_record(head.chain(NUMBERS.map(str::to_owned)))?;
        for trial in &self.trials {
            let begin = [trial.trial.clone(), trial.state.name().to_owned()];
            let begin: Vec<String> = begin
                .into_iter()
                .chain(differing.iter().map(|name| written(trial.differing.get(name))))
                .collect();
            let subnets = trial
                .summary
                .iter()
                .flat_map(|summary| summary.subnets.iter().map(move |subnet| (summary, subnet)));
            let rows: Vec<Vec<String>> = subnets
                .map(|(summary, subnet)| {
                    let kept = kept.iter().map(|name| written(subnet.kept.get(*name)));
                    std::iter::once(subnet.label.clone())
                        .chain(kept)
                        .chain(numbers(summary, subnet))
                        .collect()
                })
                .collect();
            let none = || {
                let empty = std::iter::repeat_n(String::new(), kept.len() + NUMBERS.len());
                let mut row: Vec<String> = empty.collect();
                row.push(trial.failure.clone().unwrap_or_default());
                row
            };
            let rows = if rows.is_empty() { vec![none()] } else { rows };
            for row in rows {
                writer.write_record(begin.iter().chain(&row))?;
            }
        }
        let bytes = writer.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Names of the settings that differ between trials.
    pub fn differing(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for name in self.trials.iter().flat_map(|trial| trial.differing.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// The sub-networks of all trials, in at most 80 columns.
    pub fn table(&self) -> String {
        let mut table = plain();
        table.set_header(["\ntrial", "\nnetwork", "\nMACs", "\ntop-1", "top-1\nretrained", "speed\n-up"]);
        for trial in &self.trials {
            let name = trial_name(&trial.trial, NAME_WIDTH);
            let Some(summary) = &trial.summary else {
                table.add_row([name, trial.state.name().to_owned()]);
                continue;
            };
            for (index, subnet) in summary.subnets.iter().enumerate() {
                table.add_row([
                    if index == 0 { name.clone() } else { String::new() },
                    textwrap::fill(&subnet.label, LABEL_WIDTH),
                    short(subnet.macs),
                    format!("{:.4}", subnet.top1_sliced),
                    fraction(subnet.top1_retrained),
                    format!("{:.2}", subnet.speedup),
                ]);
            }
        }
        for column in table.column_iter_mut().skip(2) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = lines(&mut table) + "\n";
        let starts: BTreeSet<&String> =
            self.trials.iter().filter_map(|trial| trial.summary.as_ref()?.start.as_ref()).collect();
        for start in starts {
            push(&mut text, &starts_as(start));
        }
        for trial in self.trials.iter().filter(|trial| trial.state == RunState::Failed) {
            let reason = trial.failure.as_deref().unwrap_or("for a reason that is not recorded");
            push(&mut text, &format!("{} failed: {reason}", trial.trial));
        }
        text
    }
}

/// Columns of a sub-network after those of the shares it keeps.
const NUMBERS: [&str; 16] = [
    "params",
    "macs",
    "top1_dense",
    "top1_soft",
    "top1_sliced",
    "top1_retrained",
    "masked_vs_sliced",
    "images_per_second",
    "speedup",
    "latency_asked",
    "latency_predicted",
    "latency_measured",
    "dense_params",
    "dense_macs",
    "device",
    "failure",
];

fn numbers(summary: &Summary, subnet: &SubnetSummary) -> [String; NUMBERS.len()] {
    let latency = |of: fn(&LatencySummary) -> f64| {
        subnet.latency.as_ref().map_or_else(String::new, |latency| of(latency).to_string())
    };
    [
        subnet.params.to_string(),
        subnet.macs.to_string(),
        summary.dense.top1.to_string(),
        summary.search.as_ref().map_or_else(String::new, |search| search.top1_soft.to_string()),
        subnet.top1_sliced.to_string(),
        subnet.top1_retrained.map_or_else(String::new, |top1| top1.to_string()),
        subnet.masked_vs_sliced.to_string(),
        subnet.images_per_second.to_string(),
        subnet.speedup.to_string(),
        latency(|latency| latency.asked),
        latency(|latency| latency.predicted),
        latency(|latency| latency.measured),
        summary.dense.params.to_string(),
        summary.dense.macs.to_string(),
        summary.device.clone(),
        String::new(),
    ]
}

/// A value of a setting, as a table shows it.
pub(crate) fn written(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::report::{BudgetSummary, DenseSummary, SearchSummary, Seconds};

    fn report() -> SweepReport {
        let shares: Map<String, Value> = [("hidden".to_owned(), json!(0.5))].into_iter().collect();
        let subnet = |label: &str| SubnetSummary {
            label: label.to_owned(),
            budget: BudgetSummary::Share(shares.clone()),
            kept: shares.clone(),
            params: 10,
            macs: 20,
            top1_sliced: 0.25,
            top1_retrained: Some(0.75),
            masked_vs_sliced: 1e-7,
            images_per_second: 1000.0,
            speedup: 1.5,
            latency: Some(LatencySummary {
                batch: 1,
                asked: 0.002,
                predicted: 0.0021,
                measured: 0.00205,
                device: "cpu, 2 threads, f32".to_owned(),
            }),
        };
        let trial = |weight: f64, state: RunState| {
            let trial = format!("hidden.weight={weight},seed=0");
            let summary = (state == RunState::Complete).then(|| Summary {
                name: "a".into(),
                trial: trial.clone(),
                device: "cpu, 2 threads, f32".into(),
                seconds: Seconds::default(),
                start: Some("runs/a/seed=0".into()),
                dense: DenseSummary { params: 100, macs: 200, top1: 0.9 },
                search: Some(SearchSummary { epochs: 1, top1_soft: 0.8 }),
                subnets: vec![subnet("share-0.5"), subnet("share-0.5-2")],
            });
            let failure = (state == RunState::Failed).then(|| "no, \"data\"".to_owned());
            let differing = [("hidden.weight".to_owned(), json!(weight))].into_iter().collect();
            TrialReport { trial, differing, state, failure, summary }
        };
        let trials = vec![
            trial(0.25, RunState::Complete),
            trial(0.5, RunState::Failed),
            trial(1.5, RunState::Waiting),
        ];
        SweepReport { name: "a".into(), trials }
    }

    #[test]
    fn each_sub_network_has_a_row_and_each_trial_that_has_none() {
        let csv = report().csv().unwrap();
        let lines: Vec<&str> = csv.lines().collect();
        assert_eq!(
            lines[0],
            "trial,state,hidden.weight,network,kept.hidden,params,macs,top1_dense,top1_soft,top1_sliced,top1_retrained,\
             masked_vs_sliced,images_per_second,speedup,latency_asked,latency_predicted,latency_measured,dense_params,dense_macs,device,\
             failure"
        );
        assert_eq!(
            lines[1],
            "\"hidden.weight=0.25,seed=0\",complete,0.25,share-0.5,0.5,10,20,0.9,0.8,0.25,0.75,0.0000001,1000,1.5,0.002,0.0021,0.00205,\
             100,200,\"cpu, 2 threads, f32\","
        );
        assert_eq!(lines.len(), 5);
        assert!(
            lines[3].starts_with("\"hidden.weight=0.5,seed=0\",failed,0.5,,,")
                && lines[3].ends_with("\"no, \"\"data\"\"\"")
        );
        // As many values in each.
        let mut reader = csv::Reader::from_reader(csv.as_bytes());
        assert!(reader.records().all(|record| record.unwrap().len() == 21));
    }

    #[test]
    fn the_table_has_the_states_and_the_reasons() {
        let table = report().table();
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        assert!(table.contains("hidden.weight=0.5,seed=0 failed: no, \"data\""), "{table}");
        assert_eq!(table.matches("dense starts as runs/a/seed=0: ").count(), 1, "{table}");
        let row = table.lines().find(|line| line.starts_with("hidden.weight=1.5")).unwrap();
        assert_eq!(row.split_whitespace().collect::<Vec<_>>(), ["hidden.weight=1.5,seed=0", "waiting"]);
    }
}
