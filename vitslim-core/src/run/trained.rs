//! What a run has trained so far.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use indicatif::HumanDuration;
use serde::Deserialize;

use super::target::finished_labels;
use crate::train::RECORD;

#[derive(Deserialize)]
struct Line {
    stage: String,
    subnet: Option<String>,
    epoch: usize,
    step: Option<usize>,
    seconds: f64,
}

/// What the run in the folder `run` has trained, for whoever is about to discard it: `7 epochs, 12 seconds of training, and 2
/// sub-networks`.
pub(super) fn trained(run: &Path) -> String {
    let text = std::fs::read_to_string(run.join(RECORD)).unwrap_or_default();
    let lines = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut stages: BTreeMap<(String, Option<String>), (usize, f64)> = BTreeMap::new();
    for Line { stage, subnet, epoch, seconds, .. } in lines.filter(|line: &Line| line.step.is_none()) {
        stages.insert((stage, subnet), (epoch, seconds));
    }
    let epochs: usize = stages.values().map(|(epochs, _)| epochs).sum();
    let seconds: f64 = stages.values().map(|(_, seconds)| seconds).sum();
    let time = Duration::try_from_secs_f64(seconds.ceil()).unwrap_or_default();
    let subnets = finished_labels(run).len();
    let count = |count: usize, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    format!(
        "{}, {} of training, and {}",
        count(epochs, "epoch"),
        HumanDuration(time),
        count(subnets, "sub-network")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn epochs_and_times_of_all_stages_are_added_up() {
        let run = tempfile::tempdir().unwrap();
        assert_eq!(trained(run.path()), "0 epochs, 0 seconds of training, and 0 sub-networks");
        let lines = r#"{"stage":"pretrain","epoch":1,"step":5,"seconds":1.0}
{"stage":"pretrain","epoch":1,"seconds":2.0}
{"stage":"pretrain","epoch":2,"seconds":4.5}
{"stage":"retrain","subnet":"a","epoch":1,"seconds":90.0}
{"stage":"retr"#;
        std::fs::write(run.path().join(RECORD), lines).unwrap();
        std::fs::create_dir_all(run.path().join("subnets/a")).unwrap();
        std::fs::create_dir_all(run.path().join("subnets/b")).unwrap();
        std::fs::write(run.path().join("subnets/a/result.json"), "{}").unwrap();
        assert_eq!(trained(run.path()), "3 epochs, 2 minutes of training, and 1 sub-network");
    }
}
