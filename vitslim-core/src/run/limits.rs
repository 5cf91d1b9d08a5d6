//! The largest network within limits on the whole network, and between what they can choose.

use burn::module::Module;
use burn::tensor::Device;

use super::bounds::Bounds;
use super::budget::{Limit, Measure, PreparedBudget};
use super::cutting::Cutting;
use super::error::RunError;
use super::timing::Timing;
use crate::experiment::CutRule;
use crate::graph::{Counts, counts_after};
use crate::models::Architecture;
use crate::slim::{Fitting, Floors, MaskSet, Plan, RankError, Usage, rank_sparing, thin_tokens};

/// What a limit allows, between the smallest network that can be cut and the dense one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    /// What is limited.
    pub of: Measure,
    /// That of the smallest network.
    pub smallest: u64,
    /// What is allowed.
    pub asked: u64,
    /// That of the dense network.
    pub largest: u64,
}

impl Cutting<'_> {
    /// The plan for `budget` where networks take `slower` times as long as predicted; `None` if not even the smallest keeps it.
    ///
    /// # Errors
    ///
    /// When a mask cannot be ranked, or a network cannot be counted.
    pub(super) fn largest<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
        slower: f64,
    ) -> Result<Option<Plan>, RunError> {
        let limits = self.limits(budget);
        let allowed = self.allowed(masks, budget)?;
        if limits.is_empty() {
            return self.rounded(allowed, masks, &self.selection.multiples).map(Some);
        }
        // Counted, it might be too large: masks that are folded give each head a norm that all shared.
        let whole = Plan::whole(self.dimensions);
        if allowed == whole && limits.iter().all(|limit| limit.most.is_whole()) {
            return Ok(Some(self.as_written(whole)));
        }
        let dense = self.of_dense(model, &limits)?;
        let mut most = Vec::new();
        for (limit, largest) in limits.iter().zip(dense) {
            most.push(match (limit.of, limit.most.of(largest)) {
                // What takes long here may take less elsewhere: more time than the dense network takes is no mistake.
                (Measure::Latency { .. }, asked) => ((asked as f64 / slower) as u64).max(1),
                (of, asked) if asked > largest => {
                    let label = budget.label.clone();
                    return Err(RunError::Larger {
                        label,
                        asked: of.amount(asked),
                        largest: of.told(largest),
                    });
                }
                (_, asked) => asked,
            });
        }
        let usage = |plan: &Plan| {
            let used = self.sizes(model, masks, plan, &limits)?;
            let used = used.iter().zip(&most);
            let fits = used.clone().all(|(used, most)| used <= most);
            Ok(Usage { fits, cost: used.map(|(used, most)| *used as f64 / *most as f64).sum() })
        };
        let rounded = |plan| self.rounded(plan, masks, &self.selection.multiples);
        let plan = self.fitting(masks, &allowed, &self.bounds(model)?.floors).fit(rounded, usage);
        self.timing.into_iter().for_each(Timing::save);
        plan
    }

    /// The same, or the plan that cuts all that may be cut if what is left still takes too long.
    ///
    /// # Errors
    ///
    /// When another limit cannot be met, and those of [`largest`](Self::largest).
    pub(super) fn nearest<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
        slower: f64,
    ) -> Result<Plan, RunError> {
        if let Some(plan) = self.largest(model, masks, budget, slower)? {
            return Ok(plan);
        }
        let reach = self.reach(model, masks, budget)?;
        let is_missed = |reach: &Reach| reach.of.unit().is_none() && reach.smallest > reach.asked;
        match reach.iter().any(is_missed) {
            true => Err(self.unreachable(model, masks, budget)?),
            false => self.smallest(model, masks, budget),
        }
    }

    /// Nanoseconds that what `plan` leaves of `model` takes by prediction, where `limit` is one on that.
    ///
    /// # Errors
    ///
    /// When an operation cannot be measured.
    pub(super) fn latency<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        plan: &Plan,
        limit: &Limit,
    ) -> Result<u64, RunError> {
        Ok(self.sizes(model, masks, plan, &[limit])?.into_iter().sum())
    }

    /// The plan that cuts all that `budget` may cut.
    fn smallest<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
    ) -> Result<Plan, RunError> {
        let allowed = self.allowed(masks, budget)?;
        let plan = self.fitting(masks, &allowed, &self.bounds(model)?.floors).smallest()?;
        self.rounded(plan, masks, &self.selection.multiples)
    }

    /// The limits of `budget` on what can be told.
    pub(super) fn limits<'b>(&self, budget: &'b PreparedBudget) -> Vec<&'b Limit> {
        let is_known = |limit: &&Limit| limit.of.unit().is_none() || self.timing.is_some();
        budget.limits.iter().filter(is_known).collect()
    }

    /// The most that `budget` allows, whatever its limits on the network as a whole are.
    pub(super) fn allowed(&self, masks: &MaskSet, budget: &PreparedBudget) -> Result<Plan, RankError> {
        let floors = &self.selection.floors;
        let mut plan = rank_sparing(self.dimensions, masks, &budget.rankings, floors)?;
        if let Some(fewer) = budget.fewer {
            thin_tokens(&mut plan, self.dimensions, masks, fewer.get(), floors)?;
        }
        Ok(plan)
    }

    fn fitting<'b>(&'b self, masks: &'b MaskSet, allowed: &'b Plan, floors: &'b Floors) -> Fitting<'b> {
        Fitting {
            dimensions: self.dimensions,
            masks,
            keys: &self.selection.keys,
            rule: self.selection.ranking,
            allowed,
            floors,
        }
    }

    /// Between what limits can choose in `model`, counted once: networks of the same experiment have the same sizes.
    fn bounds<A: Architecture>(&self, model: &A) -> Result<&Bounds, RunError> {
        if let Some(bounds) = self.bounds.get() {
            return Ok(bounds);
        }
        let bounds = Bounds::of(model, self.image, self.dimensions, self.searched, self.selection)?;
        Ok(self.bounds.get_or_init(|| bounds))
    }

    /// How much `model` has of what each of `limits` is about.
    fn of_dense<A: Architecture>(&self, model: &A, limits: &[&Limit]) -> Result<Vec<u64>, RunError> {
        let Counts { params, macs, .. } = self.bounds(model)?.dense;
        let of = |limit: &&Limit| match (limit.of, self.timing) {
            (Measure::Macs, _) => Ok(macs),
            (Measure::Params, _) => Ok(params),
            (Measure::Latency { batch }, Some(timing)) => {
                Ok(timing.of_dense(model, self.image, batch.get())?)
            }
            (Measure::Latency { .. }, None) => Ok(0),
        };
        limits.iter().map(of).collect()
    }

    /// The same of what `plan` leaves of `model`.
    fn sizes<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        plan: &Plan,
        limits: &[&Limit],
    ) -> Result<Vec<u64>, RunError> {
        let change = |model: A, device: &Device| {
            let base = match self.cut_rule {
                CutRule::Fold => model.fold(&masks.clone().to_device(device)),
                CutRule::Hard => model,
            };
            Ok::<_, RunError>(base.slim(plan)?)
        };
        let is_counted = limits.iter().any(|limit| limit.of.unit().is_none());
        let counts =
            is_counted.then(|| counts_after(model, self.image, change)).transpose()?.unwrap_or_default();
        let of = |limit: &&Limit| match (limit.of, self.timing) {
            (Measure::Macs, _) => Ok(counts.macs),
            (Measure::Params, _) => Ok(counts.params),
            (Measure::Latency { batch }, Some(timing)) => {
                let operations = timing.operations(model, self.image, batch.get(), change)?;
                Ok(timing.predicted(model, self.image, batch.get(), &operations)?)
            }
            (Measure::Latency { .. }, None) => Ok(0),
        };
        limits.iter().map(of).collect()
    }

    /// What the limits of `budget` allow, and between what they can choose: the size of the smallest network that can be cut, by these
    /// `masks`, and that of `model`.
    ///
    /// # Errors
    ///
    /// When a network cannot be counted.
    pub fn reach<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
    ) -> Result<Vec<Reach>, RunError> {
        let limits = self.limits(budget);
        if limits.is_empty() {
            return Ok(Vec::new());
        }
        let dense = self.of_dense(model, &limits)?;
        let smallest = self.sizes(model, masks, &self.smallest(model, masks, budget)?, &limits)?;
        let reach = limits.iter().zip(smallest).zip(dense).map(|((limit, smallest), largest)| Reach {
            of: limit.of,
            smallest,
            asked: limit.most.of(largest),
            largest,
        });
        Ok(reach.collect())
    }

    pub(super) fn unreachable<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
    ) -> Result<RunError, RunError> {
        let reach = self.reach(model, masks, budget)?;
        let missed = reach.iter().find(|reach| reach.smallest > reach.asked);
        let label = budget.label.clone();
        // Each can be met alone, but not with the shares.
        let Reach { of, smallest, asked, largest } = *missed.unwrap_or(&reach[0]);
        let share = (1000.0 * smallest as f64 / largest as f64).ceil() / 1000.0;
        Ok(RunError::Unreachable { label, asked: of.amount(asked), smallest: of.told(smallest), share })
    }
}
