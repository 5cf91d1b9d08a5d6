//! Networks of many sizes out of a search that is finished, evaluated as they are cut.

use std::path::Path;

use super::budget::{Measure, PreparedBudget};
use super::error::RunError;
use super::evaluation::SplitName;
use super::finished::Finished;
use super::folder::FRONTIER;
use super::labels::Labels;
use super::limits::Reach;
use super::pipeline::Run;
use super::setting::Setting;
use crate::experiment::{Amount, Portion, Trial};
use crate::graph::macs;
use crate::models::{Architecture, Parameter};
use crate::report::{Frontier, FrontierPoint};
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
/// network that can be cut and the dense one, and evaluates each as it is cut. `trial` is that of the run. Leaves `frontier.json` there.
///
/// # Errors
///
/// When the search is not finished or not there any more, the data are not those of the run, or a network cannot be cut or evaluated.
pub fn frontier<A: Architecture>(
    trial: &Trial,
    run: &Path,
    wanted: FrontierPoints,
    setting: &Setting,
) -> Result<Frontier, RunError> {
    let FrontierPoints { points, of, split } = wanted;
    let device = &setting.devices.first.device;
    let Finished { folder, prepared, initial, searched, .. } =
        Finished::<A>::open(trial, run, None, setting)?;
    let mut labels = Labels::of_run(run)?;
    let mut prepared_budget = |thousandths: u64| {
        let most = Portion::try_from(thousandths as f64 / WHOLE as f64).map(Amount::Share);
        let budget = most.map(|most| PreparedBudget::of_limit(of, most, String::new()));
        let budget = budget.map_err(|reason| RunError::Format { what: "a budget", reason })?;
        Ok::<_, RunError>(PreparedBudget { label: labels.of(&budget.written), ..budget })
    };
    let cutting = prepared.cutting();
    let reach = cutting.reach(&searched.model, &searched.masks, &prepared_budget(WHOLE)?)?;
    let run = Run::new(&prepared, &folder, &initial, setting)?;
    let images = match split {
        SplitName::Test => &prepared.data.test,
        SplitName::HeldOut => &prepared.data.held_out,
    };
    let mut point = |thousandths| {
        let budget = prepared_budget(thousandths)?;
        let plan = cutting.plan(&searched.model, &searched.masks, &budget)?;
        let model = run.sliced(&run.base(&searched, &plan)?, &plan, &budget)?;
        let unwritten = |error: ron::Error| RunError::Format { what: "a budget", reason: error.to_string() };
        Ok::<_, RunError>(FrontierPoint {
            budget: ron::to_string(&budget.written).map_err(unwritten)?,
            label: budget.label,
            kept: run.kept(&plan),
            params: Parameter::count(&model),
            macs: macs(&model, run.image())?,
            top1: top1(&model, images, prepared.experiment.precision, device)?,
        })
    };
    let shares = reach.iter().flat_map(|reach| shares(*reach, points));
    let points = shares.map(&mut point).collect::<Result<_, RunError>>()?;
    let frontier = Frontier { of: of.variant().to_owned(), split: split.name().to_owned(), points };
    run.save_json(&frontier, FRONTIER)?;
    Ok(frontier)
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
