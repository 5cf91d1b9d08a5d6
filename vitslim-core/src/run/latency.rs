//! A sub-network that takes as long as its budget allows: cut by predicted times, measured, and cut again by what that shows.

use serde::{Deserialize, Serialize};

use super::budget::{PreparedBudget, seconds};
use super::error::RunError;
use super::folder::{FolderError, SUBNETS};
use super::stages::Run;
use crate::models::Architecture;
use crate::report::LatencySummary;
use crate::slim::{Plan, Slim};
use crate::terminal::{say, time};

/// Most networks that are cut and measured.
const ROUNDS: usize = 8;

/// How far from what was asked is near enough, as a part of that.
const NEAR: f64 = 0.05;

/// `latency.json`: how a sub-network was cut. A run that resumes must not measure again, since it would cut another network.
#[derive(Serialize, Deserialize)]
struct Settled {
    latency: LatencySummary,
    /// The plan for the network that the run starts from.
    plan: Plan,
}

/// Something that was cut, and how long it takes in seconds, were the device as fast as when the dense network was first measured.
#[derive(Clone, Debug, PartialEq)]
struct Tried<T> {
    cut: T,
    predicted: f64,
    measured: f64,
    /// How many times as long everything took when it was measured.
    pace: f64,
}

impl<T> Tried<T> {
    /// How many times as long it takes as predicted.
    fn slower(&self) -> f64 {
        self.measured / self.predicted
    }

    /// How far it is from what was `asked`, in an order in which all that take much longer come last.
    fn miss(&self, asked: f64) -> (bool, f64) {
        (self.measured > (1.0 + NEAR) * asked, (self.measured - asked).abs())
    }

    fn is_near(&self, asked: f64) -> bool {
        self.miss(asked).1 <= NEAR * asked
    }

    /// The times as they were when it was measured.
    fn summary(&self, asked: f64, batch: usize, device: String) -> LatencySummary {
        let [asked, predicted, measured] =
            [asked, self.predicted, self.measured].map(|time| self.pace * time);
        LatencySummary { batch, asked, predicted, measured, device }
    }
}

/// The nearest to `asked` of what `attempt` cuts and measures, given how many times as long as predicted it takes: times of parts do not
/// quite add up to that of the whole.
fn settle<T: Clone + PartialEq, E>(
    asked: f64,
    mut attempt: impl FnMut(f64) -> Result<Tried<T>, E>,
) -> Result<Tried<T>, E> {
    let mut last = attempt(1.0)?;
    let mut nearest = last.clone();
    for _ in 1..ROUNDS {
        if nearest.is_near(asked) {
            break;
        }
        let next = attempt(last.slower())?;
        if next.miss(asked) < nearest.miss(asked) {
            nearest = next.clone();
        }
        if next.cut == last.cut {
            break;
        }
        last = next;
    }
    Ok(nearest)
}

impl<A: Architecture> Run<'_, A> {
    /// The plan of the sub-network of `budget`, and how long it takes if that is limited.
    ///
    /// # Errors
    ///
    /// When the budget cannot be met, or the network not be measured. That it takes longer than asked is no error here, after a whole
    /// search, but told.
    pub(super) fn cut(
        &self,
        budget: &PreparedBudget,
        searched: &Slim<A>,
    ) -> Result<(Plan, Option<LatencySummary>), RunError> {
        let (cutting, Slim { model, masks }) = (self.cutting, searched);
        let (Some((limit, batch)), Some(timing)) = (budget.latency(), &self.prepared.timing) else {
            return Ok((cutting.plan(model, masks, budget)?, None));
        };
        let file = format!("{SUBNETS}/{}/latency.json", budget.label);
        if let Some(text) = self.folder.read(&file)? {
            let damaged = |error: serde_json::Error| FolderError::Damaged {
                path: self.folder.path().join(&file),
                reason: error.to_string(),
                remedy: "delete it to measure and cut again, and with it the folder of this sub-network in `checkpoints/retrain`, if there \
                         is one: another network may be cut",
            };
            let Settled { plan, latency } = serde_json::from_str(&text).map_err(damaged)?;
            return Ok((plan, Some(latency)));
        }
        let base = self.folded(searched);
        let asked = seconds(limit.most.of(timing.of_dense(model, self.image(), batch)?));
        let tried = settle(asked, |slower| {
            self.check_interrupt()?;
            let plan = cutting.nearest(model, masks, budget, slower)?;
            let predicted = seconds(cutting.latency(model, masks, &plan, limit)?);
            let sliced = self.sliced(&base, &plan, budget)?;
            let (measured, pace) = timing.measured(&limit.most, (model, &sliced), self.image(), batch)?;
            Ok::<_, RunError>(Tried { cut: plan, predicted, measured: seconds(measured) / pace, pace })
        })?;
        let device = self.setting.device_name.to_owned();
        let latency = tried.summary(asked, batch, device);
        if !tried.is_near(asked) && !self.setting.quiet {
            say(format_args!(
                "note: {} takes {} at a batch of {batch}, and {} was asked for: of what was tried, nothing is nearer",
                budget.label,
                time(latency.measured),
                time(latency.asked)
            ));
        }
        let settled = Settled { latency, plan: tried.cut };
        self.save_json(&settled, &file)?;
        Ok((settled.plan, Some(settled.latency)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is found of networks of whole units, where one unit takes a second by prediction, and what tries take.
    fn settled(asked: f64, truth: impl Fn(f64) -> f64) -> (Tried<u64>, usize) {
        let mut tries = 0;
        let found = settle(asked, |slower| {
            tries += 1;
            let units = (asked / slower).clamp(10.0, 1000.0).floor();
            Ok::<_, ()>(Tried { cut: units as u64, predicted: units, measured: truth(units), pace: 1.0 })
        });
        (found.unwrap(), tries)
    }

    #[test]
    fn what_is_measured_comes_near_to_what_was_asked_in_a_few_tries() {
        for asked in [100.0, 300.0, 1000.0] {
            for constant in [0.0, 0.1, 0.3] {
                let (found, tries) = settled(asked, |predicted| 1.3 * predicted + constant * asked);
                assert!(found.is_near(asked), "{asked} {constant}: {found:?}");
                assert!(tries <= 5, "{asked} {constant}: {tries} tries");
            }
        }
        // It grows what is faster than predicted.
        let (found, _) = settled(300.0, |predicted| 0.6 * predicted);
        assert!(found.cut > 400 && found.is_near(300.0), "{found:?}");
        // The whole network is all there is, and the smallest the least: neither is tried for ever.
        assert_eq!(
            settled(2000.0, |predicted| predicted),
            (Tried { cut: 1000, predicted: 1000.0, measured: 1000.0, pace: 1.0 }, 2)
        );
        let (found, tries) = settled(100.0, |predicted| 20.0 * predicted);
        assert_eq!((found.cut, found.measured, tries), (10, 200.0, 3));
    }

    #[test]
    fn what_takes_longer_than_asked_is_kept_only_if_there_is_nothing_else() {
        let tried = |measured| Tried { cut: (), predicted: 1.0, measured, pace: 1.0 };
        let mut found = [1.02, 0.97, 1.04, 0.5, 1.06, 2.0].map(tried);
        found.sort_by(|one, other| one.miss(1.0).partial_cmp(&other.miss(1.0)).unwrap());
        assert_eq!(found.map(|tried| tried.measured), [1.02, 0.97, 1.04, 0.5, 1.06, 2.0]);
    }

    /// Half as fast as when the dense network was measured, a network that takes half of its time still takes half of its time.
    #[test]
    fn times_are_told_as_they_were_when_the_network_was_measured() {
        let tried = Tried { cut: (), predicted: 0.9, measured: 1.02, pace: 2.0 };
        assert!(tried.is_near(1.0) && (tried.slower() - 1.02 / 0.9).abs() < 1e-12);
        let LatencySummary { asked, predicted, measured, .. } = tried.summary(1.0, 1, "cpu".to_owned());
        assert_eq!([asked, predicted, measured], [2.0, 1.8, 2.04]);
    }
}
