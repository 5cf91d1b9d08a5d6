//! The report of `vitslim plan`.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use comfy_table::CellAlignment;
use indicatif::HumanDuration;
use serde::Serialize;

use super::reason::Reason;
use super::scaled_rate::ScaledRate;
use super::table::{lines, plain, push, short, trial_name};
use crate::terminal::{self, gigabytes};

/// Columns for the label of a sub-network, and for what is limited of it.
const LABEL_WIDTH: usize = 28;
const OF_WIDTH: usize = 16;

/// Columns for the name of a trial.
const NAME_WIDTH: usize = 26;

/// The trials of an experiment, before any is run.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SweepPlan {
    /// Name of the experiment.
    pub name: String,
    /// The device that steps were measured on.
    pub device: Option<String>,
    /// The trials, in the order they will run.
    pub trials: Vec<PlannedTrial>,
}

/// A trial, before it is run.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedTrial {
    /// Its name, and the name of its folder.
    pub trial: String,
    /// Where the network is that it starts from, if another run left it. Sizes are then of that, and shares.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// Parameters of the dense network.
    pub params: usize,
    /// MACs of the dense network for one image.
    pub macs: u64,
    /// The expected sub-networks.
    pub subnets: Vec<PlannedSubnet>,
    /// The memory of the stage that needs most, as predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<PlannedMemory>,
    /// Its stages, in order.
    pub stages: Vec<PlannedStage>,
    /// What ranks the units where there is no search, as `importance` names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub without_search: Option<&'static str>,
    /// The learning rates of the stages with `lr_of_batch`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scaled_rates: Vec<ScaledRate>,
    /// Its experiment file, with every default spelled out.
    #[serde(skip)]
    pub resolved: String,
    /// Its classes, and the fingerprints of its images and of the weights that it starts from, as JSON.
    #[serde(skip)]
    pub data: String,
}

impl PlannedTrial {
    /// Why the device cannot train one of `trials`, each reason once.
    pub fn unfit(trials: &[Self]) -> Vec<Reason> {
        let notes = trials.iter().flat_map(|trial| &trial.stages).filter_map(|stage| stage.note.as_ref());
        notes.collect::<BTreeSet<_>>().into_iter().map(Reason::new).collect()
    }
}

/// A sub-network, before it is cut.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedSubnet {
    /// Its label.
    pub label: String,
    /// Its number of parameters, by random masks.
    pub params: usize,
    /// Its MACs for one image, by random masks.
    pub macs: u64,
    /// What its budget allows of what is possible; empty if it is of shares alone.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<PlannedLimit>,
    /// What a user should know about it.
    pub notes: Vec<String>,
}

/// A limit on a network as a whole, before it is cut.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedLimit {
    /// `MACs`, `parameters` or `latency at a batch of 1`.
    pub of: String,
    /// The unit of these numbers, where they are no counts: `ns`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<&'static str>,
    /// That of the smallest network that can be cut.
    pub smallest: u64,
    /// What is allowed.
    pub asked: u64,
    /// That of the dense network.
    pub largest: u64,
}

/// A stage, before it is trained.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedStage {
    /// `pretrain`, `search` or `retrain`.
    pub stage: &'static str,
    /// Number of epochs.
    pub epochs: usize,
    /// Number of steps.
    pub steps: usize,
    /// Expected seconds, from a measured step.
    pub seconds: Option<f64>,
    /// The most bytes of memory that it has at once, as predicted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// What to do if that is more than there is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Its identity: stages with the same identity are trained once.
    pub identity: String,
}

/// The memory of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct PlannedMemory {
    /// The most bytes at once.
    pub bytes: u64,
    /// The stage that has them.
    pub stage: &'static str,
}

impl PlannedMemory {
    /// That of the stage among `stages` that needs most; `None` if it is not known of any.
    pub fn of(stages: &[PlannedStage]) -> Option<Self> {
        let known = stages.iter().filter_map(|stage| Some(Self { bytes: stage.memory?, stage: stage.stage }));
        known.max_by_key(|memory| memory.bytes)
    }
}

impl SweepPlan {
    /// A table of the trials, the expected sub-networks, and the total.
    pub fn table(&self) -> String {
        let mut table = plain();
        let last_line = ["", "trial", "params", "MACs"].map(|name| format!("\n\n{name}"));
        let others = ["sub-\nnet-\nworks", "\n\nmemory", "\n\nsteps", "\n\ntime"].map(str::to_owned);
        table.set_header(last_line.into_iter().chain(others));
        let mut begun = HashSet::new();
        for (number, trial) in (1..).zip(&self.trials) {
            // A stage that an earlier trial trains costs this trial nothing.
            let own: Vec<&PlannedStage> =
                trial.stages.iter().filter(|stage| begun.insert(stage.identity.as_str())).collect();
            table.add_row([
                format!("{number}"),
                trial_name(&trial.trial, NAME_WIDTH),
                short(trial.params as u64),
                short(trial.macs),
                trial.subnets.len().to_string(),
                trial.memory.map_or_else(|| "-".to_owned(), |memory| gigabytes(memory.bytes)),
                own.iter().map(|stage| stage.steps).sum::<usize>().to_string(),
                time(own.iter().map(|stage| stage.seconds)),
            ]);
        }
        for (_, column) in table.column_iter_mut().enumerate().filter(|(index, _)| *index != 1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = lines(&mut table) + "\n";
        self.push_networks(&mut text);
        let starts: BTreeSet<&String> = self.trials.iter().filter_map(|trial| trial.start.as_ref()).collect();
        for start in starts {
            push(&mut text, &format!("dense starts as {start}: sizes and shares are of that"));
        }
        let mut rates: Vec<String> = Vec::new();
        for rate in self.trials.iter().flat_map(|trial| &trial.scaled_rates).map(ToString::to_string) {
            if !rates.contains(&rate) {
                rates.push(rate);
            }
        }
        rates.iter().for_each(|rate| push(&mut text, rate));
        let skipping: BTreeSet<&str> = self.trials.iter().filter_map(|trial| trial.without_search).collect();
        for importance in skipping {
            push(&mut text, &format!("`importance: {importance}` needs no search: it is skipped"));
        }
        push(&mut text, &self.total());
        if self.trials.len() > 1 {
            push(
                &mut text,
                "a stage that several trials have in common is trained once, and counted where it comes first",
            );
        }
        self.push_memory(&mut text);
        if let Some(device) = &self.device {
            push(&mut text, &format!("times from one step that was measured on {device}"));
        }
        text
    }

    /// The expected sub-networks; trials with the same sub-networks are listed together.
    fn push_networks(&self, text: &mut String) {
        let mut told: Vec<(&PlannedTrial, usize)> = Vec::new();
        for trial in &self.trials {
            match told.iter_mut().find(|(known, _)| known.subnets == trial.subnets) {
                Some((_, trials)) => *trials += 1,
                None => told.push((trial, 1)),
            }
        }
        for (trial, trials) in told.iter().take(MOST_TOLD) {
            let whose = match (self.trials.len(), trials) {
                (1, _) => "sub-networks".to_owned(),
                (_, 1) => format!("sub-networks of {}", trial.trial),
                _ => format!("sub-networks of {} and {} more", trial.trial, trials - 1),
            };
            push(text, &format!("{whose}, about:"));
            let mut table = plain();
            for subnet in &trial.subnets {
                table.add_row([
                    format!("  {}", subnet.label),
                    format!("{} params", short(subnet.params as u64)),
                    format!("{} MACs", short(subnet.macs)),
                    format!("{:.0} %", 100.0 * subnet.macs as f64 / trial.macs as f64),
                ]);
            }
            for column in table.column_iter_mut().skip(1) {
                column.set_cell_alignment(CellAlignment::Right);
            }
            text.push_str(&lines(&mut table));
            text.push('\n');
            push_limits(text, trial);
            trial
                .subnets
                .iter()
                .flat_map(|subnet| &subnet.notes)
                .for_each(|note| push(text, &format!("note: {note}")));
        }
        if told.len() > MOST_TOLD {
            push(text, &format!("... and those of other sizes, {} in all; `--json` has them", told.len()));
        }
    }

    /// What the memory is that of, and for each kind of stage what to do if that is too much.
    fn push_memory(&self, text: &mut String) {
        let most: BTreeSet<&str> = self.trials.iter().filter_map(|trial| Some(trial.memory?.stage)).collect();
        if most.is_empty() {
            return;
        }
        let most: Vec<_> = most.into_iter().collect();
        push(
            text,
            &format!("memory as it is predicted for the stage that needs most: {}", most.join(" or ")),
        );
        let mut notes: BTreeMap<&str, (u64, &str)> = BTreeMap::new();
        for stage in self.trials.iter().flat_map(|trial| &trial.stages) {
            if let (Some(bytes), Some(note)) = (stage.memory, &stage.note) {
                let known = notes.entry(stage.stage).or_default();
                *known = (*known).max((bytes, note.as_str()));
            }
        }
        notes.values().for_each(|(_, note)| push(text, &format!("note: {note}")));
    }

    /// The total: `12 trials: 1 pretraining, 3 searches, 12 retrainings; 4800 steps, about 20 minutes`.
    pub fn total(&self) -> String {
        let mut known = HashSet::new();
        let all = self.trials.iter().flat_map(|trial| &trial.stages);
        let stages: Vec<&PlannedStage> = all.filter(|stage| known.insert(stage.identity.as_str())).collect();
        let count = |name: &str| stages.iter().filter(|stage| stage.stage == name).count();
        let words = [
            ("pretrain", "pretraining", "pretrainings"),
            ("search", "search", "searches"),
            ("retrain", "retraining", "retrainings"),
        ]
        .map(|(stage, one, more)| (count(stage), one, more))
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, more)| format!("{count} {}", if count == 1 { one } else { more }));
        let trials = match self.trials.len() {
            1 => "one trial".to_owned(),
            more => format!("{more} trials"),
        };
        let steps: usize = stages.iter().map(|stage| stage.steps).sum();
        let time = match time(stages.iter().map(|stage| stage.seconds)).as_str() {
            "-" => String::new(),
            time => format!(", about {time}"),
        };
        format!("{trials}: {}; {steps} steps{time}", words.collect::<Vec<_>>().join(", "))
    }
}

/// What each budget of `trial` may choose from, where it limits the network as a whole.
fn push_limits(text: &mut String, trial: &PlannedTrial) {
    let mut table = plain();
    table.set_header(["  limit", "", "smallest", "asked", "largest"]);
    for subnet in &trial.subnets {
        for limit in &subnet.limits {
            let told = |amount: u64| match limit.unit {
                Some(_) => terminal::time(amount as f64 / 1e9),
                None => short(amount),
            };
            let label = textwrap::fill(&subnet.label, LABEL_WIDTH);
            let of = textwrap::fill(&limit.of, OF_WIDTH);
            let amounts = [limit.smallest, limit.asked, limit.largest].map(told);
            table.add_row([textwrap::indent(&label, "  "), of].into_iter().chain(amounts));
        }
    }
    if table.row_count() == 0 {
        return;
    }
    for column in table.column_iter_mut().skip(2) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    text.push_str(&lines(&mut table));
    text.push('\n');
}

/// Most sets of sub-networks in a table.
const MOST_TOLD: usize = 10;

/// The sum of `seconds` in words, or `-` if one is not known.
fn time(seconds: impl Iterator<Item = Option<f64>>) -> String {
    let total: Option<f64> = seconds.sum();
    match total {
        Some(0.0) => "0 s".to_owned(),
        Some(seconds) if seconds < 60.0 => format!("{:.0} s", seconds.ceil()),
        Some(seconds) => match Duration::try_from_secs_f64(seconds) {
            Ok(time) => HumanDuration(time).to_string(),
            Err(_) => "-".to_owned(),
        },
        None => "-".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stage(stage: &'static str, steps: usize, identity: &str) -> PlannedStage {
        PlannedStage {
            stage,
            epochs: 1,
            steps,
            seconds: Some(steps as f64),
            memory: Some(steps as u64 * 15_340_000),
            note: (steps == 10).then(|| "search needs about 153 MB of memory".to_owned()),
            identity: identity.to_owned(),
        }
    }

    fn plan() -> SweepPlan {
        let trial = |weight: usize, budget: usize| PlannedTrial {
            trial: format!("w={weight},b={budget},seed=0"),
            start: None,
            params: 1000,
            macs: 1000,
            subnets: vec![PlannedSubnet {
                label: format!("share-{budget}"),
                params: 500,
                macs: 500,
                limits: vec![],
                notes: vec![],
            }],
            resolved: String::new(),
            data: String::new(),
            without_search: None,
            scaled_rates: vec![],
            memory: Some(PlannedMemory { bytes: 1_534_000_000, stage: "pretrain" }),
            stages: vec![
                stage("pretrain", 100, "p"),
                stage("search", 10, &format!("s{weight}")),
                stage("retrain", 1, &format!("r{weight}{budget}")),
            ],
        };
        let trials = (0..3).flat_map(|weight| (0..4).map(move |budget| trial(weight, budget)));
        SweepPlan { name: "a".into(), device: Some("cpu".into()), trials: trials.collect() }
    }

    #[test]
    fn what_trials_have_in_common_is_counted_once() {
        let total = plan().total();
        assert_eq!(total, "12 trials: 1 pretraining, 3 searches, 12 retrainings; 142 steps, about 2 minutes");
        let table = plan().table();
        let row = |start: &str| {
            let line = table.lines().find(|line| line.contains(start)).unwrap();
            line.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert!(row("w=0,b=0").ends_with(" 111 2 minutes"), "{table}");
        assert!(row("w=0,b=1").ends_with(" 1 1 s"), "{table}");
        assert!(row("w=1,b=0").ends_with(" 11 11 s"), "{table}");
    }

    #[test]
    fn sub_networks_of_the_same_size_are_told_once_and_lines_fit() {
        let mut plan = plan();
        plan.trials[0].trial = format!("{},seed=0", "a.long.name=1234567,".repeat(9));
        let table = plan.table();
        assert_eq!(table.matches("and 2 more, about:").count(), 4, "{table}");
        assert!(table.contains("share-3  500 params  500 MACs  50 %"), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
    }
}
