//! Networks of many sizes out of a search that is finished, evaluated as they are cut.

use std::path::Path;

use super::budget::{Measure, PreparedBudget};
use super::error::RunError;
use super::evaluation::SplitName;
use super::finished::Finished;
use super::folder::FRONTIER;
use super::labels::Labels;
use super::limits::Reach;
use super::setting::Setting;
use super::stages::Run;
use crate::experiment::{Amount, Portion, Trial};
use crate::graph::macs;
use crate::models::{Architecture, Parameter};
use crate::report::{Frontier, FrontierPoint};
use crate::terminal::say;
use crate::train::top1;

/// The share of the whole dense network, in thousandths.
const WHOLE: u64 = 1000;

/// Which networks to cut, and what to evaluate them on.
#[derive(Clone, Copy, Debug)]
pub struct FrontierPoints {
    /// Number of networks, at least 2.
    pub points: usize,
    /// What limits their sizes.
    pub of: Measure,
    /// The split to evaluate on.
    pub split: SplitName,
}

/// Cuts networks of many sizes out of the search of the run in the folder `run`, by budgets that are evenly spaced between the smallest
/// network that can be cut and the dense one, and evaluates each as it is cut. `trial` is that of the run. Leaves `frontier.json` there. Says
/// which networks cannot be cut or evaluated, and leaves them out.
///
/// # Errors
///
/// When the search is not finished or not there any more, the data are not those of the run, or no network can be cut and evaluated.
pub fn frontier<A: Architecture>(
    trial: &Trial,
    run: &Path,
    wanted: FrontierPoints,
    setting: &Setting,
) -> Result<Frontier, RunError> {
    let FrontierPoints { points, of, split } = wanted;
    let device = &setting.devices.first.device;
    let Finished { folder, prepared, initial, searched, .. } =
        Finished::<A>::open(trial, run, split.kind(), setting)?;
    let mut labels = Labels::of_run(run)?;
    let mut prepared_budget = |thousandths: u64| {
        let most = Portion::try_from(thousandths as f64 / WHOLE as f64).map(Amount::Share);
        let budget = most.map(|most| PreparedBudget::of_limit(of, most, String::new()));
        let budget = budget.map_err(|reason| RunError::format("a budget", reason))?;
        Ok::<_, RunError>(PreparedBudget { label: labels.of(&budget.written), ..budget })
    };
    let cutting = prepared.cutting();
    let reach = cutting.reach(&searched.model, &searched.masks, &prepared_budget(WHOLE)?)?;
    let run = Run::new(&prepared, &cutting, &folder, &initial, setting)?;
    let images = match split {
        SplitName::Test => &prepared.data.test,
        SplitName::HeldOut => &prepared.data.held_out,
    };
    let mut point = |thousandths| {
        let budget = prepared_budget(thousandths)?;
        let written = ron::to_string(&budget.written).map_err(|error| RunError::format("a budget", error))?;
        let evaluated = || {
            let plan = cutting.plan(&searched.model, &searched.masks, &budget)?;
            let model = run.sliced(&run.base(&searched, &plan)?, &plan, &budget)?;
            Ok::<_, RunError>(FrontierPoint {
                budget: written.clone(),
                label: budget.label.clone(),
                kept: run.kept(&plan),
                params: Parameter::count(&model),
                macs: macs(&model, run.image())?,
                top1: top1(&model, images, prepared.experiment.precision, device)?,
            })
        };
        Ok::<_, RunError>((written.clone(), evaluated()))
    };
    let shares = reach.iter().flat_map(|reach| shares(*reach, points));
    let points = all_but_failed(shares.map(&mut point).collect::<Result<Vec<_>, _>>()?)?;
    let frontier = Frontier { of: of.variant().to_owned(), split: split.name().to_owned(), points };
    run.save_json(&frontier, FRONTIER)?;
    Ok(frontier)
}

/// The `points` by their budgets, without those that failed, of which it says why.
///
/// # Errors
///
/// When all failed.
fn all_but_failed(
    points: Vec<(String, Result<FrontierPoint, RunError>)>,
) -> Result<Vec<FrontierPoint>, RunError> {
    let (mut found, mut failed) = (Vec::new(), Vec::new());
    for (budget, point) in points {
        match point {
            Ok(point) => found.push(point),
            Err(error) => failed.push((budget, error)),
        }
    }
    if found.is_empty()
        && let Some((_, error)) = failed.pop()
    {
        return Err(error);
    }
    failed.iter().for_each(|(budget, error)| say(format_args!("note: without {budget}: {error}")));
    Ok(found)
}

/// So many evenly spaced shares of what can be reached, in thousandths, so that each can be written in a few digits; fewer if they are not
/// that far apart.
fn shares(Reach { smallest, largest, .. }: Reach, points: usize) -> Vec<u64> {
    let least = (WHOLE * smallest).div_ceil(largest.max(1)).clamp(1, WHOLE);
    let steps = points.saturating_sub(1).max(1) as u64;
    let mut shares: Vec<u64> =
        (0..=steps).map(|step| least + ((WHOLE - least) * step + steps / 2) / steps).collect();
    shares.dedup();
    shares
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_that_cannot_be_cut_is_left_out_unless_none_can() {
        let point = |label: &str| FrontierPoint {
            budget: label.to_owned(),
            label: label.to_owned(),
            kept: serde_json::Map::new(),
            params: 1,
            macs: 1,
            top1: 0.5,
        };
        let failed = || {
            let (label, reason, help) = ("b".to_owned(), "no".to_owned(), String::new());
            ("b".to_owned(), Err(RunError::Blind { label, reason, help }))
        };
        let some = vec![("a".to_owned(), Ok(point("a"))), failed(), ("c".to_owned(), Ok(point("c")))];
        assert_eq!(all_but_failed(some).unwrap(), [point("a"), point("c")]);
        assert!(all_but_failed(vec![failed()]).unwrap_err().to_string().contains("lets no image through"));
    }

    #[test]
    fn shares_begin_where_a_network_fits_and_end_with_the_dense_one() {
        let of = |smallest, largest, points| {
            shares(Reach { of: Measure::Macs, smallest, asked: largest, largest }, points)
        };
        assert_eq!(of(200, 1000, 5), [200, 400, 600, 800, 1000]);
        assert_eq!(of(2001, 10_000, 3), [201, 601, 1000]);
        assert_eq!(of(1, 1_000_000_000_000, 2), [1, 1000]);
        assert_eq!(of(998, 1000, 20), [998, 999, 1000]);
        assert_eq!(of(7, 7, 20), [1000]);
    }
}
