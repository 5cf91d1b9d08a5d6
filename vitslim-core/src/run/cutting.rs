//! Cuts by masks that are drawn at random, before there are trained ones: what a budget will leave, as far as that shows.

use std::cell::OnceCell;
use std::collections::HashMap;

use burn::module::Module;
use burn::tensor::Device;

use super::blindness::{blinding, is_blind_without};
use super::bounds::Bounds;
use super::budget::{Limit, Measure, PreparedBudget};
use super::error::RunError;
use super::prepare::Prepared;
use super::selection::Selection;
use crate::data::ImageShape;
use crate::experiment::{CutRule, Experiment};
use crate::graph::{Counts, counts_after};
use crate::importance::random_masks;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::{
    Dimension, Fitting, Floors, MaskSet, MaskSpec, Plan, Ranking, Usage, can_leave_tokens, keep_a_token,
    kept_count, rank_sparing, round, spared,
};

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

/// What makes a plan of masks and a budget.
pub(crate) struct Cutting<'a> {
    /// The dense network's dimensions.
    dimensions: &'a [Dimension],
    /// The searched ones, and how their masks are trained.
    searched: &'a [(Dimension, MaskSpec)],
    /// What compares, what stays and what is rounded.
    selection: &'a Selection,
    /// What becomes of the values of kept masks.
    cut_rule: CutRule,
    /// Seed of the experiment.
    seed: u64,
    /// What an image is.
    image: ImageShape,
    /// Between what limits can choose, once it was counted.
    bounds: OnceCell<Bounds>,
}

impl<A: Architecture> Prepared<A> {
    /// The plan for `budget`: the ranking of the trained masks of `model`, rounded if the experiment says so.
    ///
    /// # Errors
    ///
    /// When a mask cannot be ranked, or the budget cannot be met.
    pub(crate) fn plan(&self, model: &A, masks: &MaskSet, budget: &PreparedBudget) -> Result<Plan, RunError> {
        self.cutting().plan(model, masks, budget)
    }

    /// How its sub-networks are cut.
    pub(crate) fn cutting(&self) -> Cutting<'_> {
        let network = (&self.dimensions[..], &self.searched[..], self.data.shape);
        Cutting::new(&self.experiment, network, &self.selection)
    }
}

impl<'a> Cutting<'a> {
    /// How the sub-networks of `experiment` are cut, whose network has these dimensions, of which some are searched, and takes such
    /// images.
    pub fn new(
        experiment: &Experiment,
        (dimensions, searched, image): (&'a [Dimension], &'a [(Dimension, MaskSpec)], ImageShape),
        selection: &'a Selection,
    ) -> Self {
        Self {
            dimensions,
            searched,
            selection,
            cut_rule: experiment.cut_rule(),
            seed: experiment.seed,
            image,
            bounds: OnceCell::new(),
        }
    }

    /// The plan for `budget`: the ranking of `masks`, rounded if the experiment says so.
    ///
    /// # Errors
    ///
    /// When a mask cannot be ranked, or the budget cannot be met.
    pub fn plan<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
    ) -> Result<Plan, RunError> {
        if budget.limits.is_empty() {
            let plan = rank_sparing(self.dimensions, masks, &budget.rankings, &self.selection.floors)?;
            return self.rounded(plan, masks, &self.selection.multiples);
        }
        // Counted, it might be too large: masks that are folded give each head a norm that all shared.
        if budget.rankings.is_empty() && budget.limits.iter().all(|limit| limit.most.is_whole()) {
            return Ok(Plan::whole(self.dimensions));
        }
        let Bounds { dense, floors } = self.bounds(model)?;
        let limits = limits(*dense, budget)?;
        let usage = |plan: &Plan| {
            let counts = self.counts(model, masks, plan)?;
            let used = limits.iter().map(|(measure, most)| (measure.of(counts), *most));
            let fits = used.clone().all(|(used, most)| used <= most);
            Ok(Usage { fits, cost: used.map(|(used, most)| used as f64 / most as f64).sum() })
        };
        let rounded = |plan| self.rounded(plan, masks, &self.selection.multiples);
        let plan = self.fitting(masks, budget, floors).fit(rounded, usage)?;
        plan.map_or_else(|| Err(self.unreachable(model, masks, budget)?), Ok)
    }

    fn fitting<'b>(
        &'b self,
        masks: &'b MaskSet,
        budget: &'b PreparedBudget,
        floors: &'b Floors,
    ) -> Fitting<'b> {
        Fitting {
            dimensions: self.dimensions,
            masks,
            keys: &self.selection.keys,
            rule: self.selection.ranking,
            shares: &budget.rankings,
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

    /// The size of what `plan` leaves of `model`.
    fn counts<A: Architecture>(&self, model: &A, masks: &MaskSet, plan: &Plan) -> Result<Counts, RunError> {
        counts_after(model, self.image, |model, device| {
            let base = match self.cut_rule {
                CutRule::Fold => model.fold(&masks.clone().to_device(device)),
                CutRule::Hard => model,
            };
            Ok(base.slim(plan)?)
        })
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
        if budget.limits.is_empty() {
            return Ok(Vec::new());
        }
        let Bounds { dense, floors } = self.bounds(model)?;
        let smallest = self.fitting(masks, budget, floors).smallest()?;
        let smallest = self.rounded(smallest, masks, &self.selection.multiples)?;
        let smallest = self.counts(model, masks, &smallest)?;
        let reach = |limit: &Limit| Reach {
            of: limit.of,
            smallest: limit.of.of(smallest),
            asked: limit.most.of(limit.of.of(*dense)),
            largest: limit.of.of(*dense),
        };
        Ok(budget.limits.iter().map(reach).collect())
    }

    fn unreachable<A: Architecture>(
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
        Ok(RunError::Unreachable { label, of: of.name(), asked, smallest, share })
    }

    fn rounded(
        &self,
        plan: Plan,
        masks: &MaskSet,
        multiples: &HashMap<String, usize>,
    ) -> Result<Plan, RunError> {
        match multiples.is_empty() {
            true => Ok(plan),
            false => Ok(round(plan, self.dimensions, masks, multiples, &self.selection.floors)?),
        }
    }

    /// Masks drawn at random, by the seed.
    pub fn random_masks(&self, device: &Device) -> MaskSet {
        random_masks(self.searched, self.seed, device)
    }

    /// The plan for `budget` by random `masks`. A search may leave tokens where these masks do not: one is left.
    ///
    /// # Errors
    ///
    /// When the budget cannot be met.
    pub fn random_plan<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
    ) -> Result<Plan, RunError> {
        let mut plan = self.plan(model, masks, budget)?;
        keep_a_token(&mut plan, self.dimensions);
        Ok(plan)
    }

    /// Checks that `budget` can leave a network of `model` that sees its images.
    ///
    /// # Errors
    ///
    /// When it cannot, whatever the masks are.
    pub fn check<A: Architecture>(&self, model: &A, budget: &PreparedBudget) -> Result<(), RunError> {
        can_leave_tokens(self.dimensions, &budget.rankings)
            .map_err(|error| RunError::Tokenless { label: budget.label.clone(), error })?;
        for (ranking, (key, _)) in budget.rankings.iter().zip(&budget.shares) {
            if let Some(reason) = self.starved(model, ranking, key) {
                let help =
                    format!("give \"{key}\" a larger share, or each of these dimensions a key of its own");
                return Err(RunError::Blind { label: budget.label.clone(), reason, help });
            }
            let masks = MaskSet::new(self.searched, &Device::flex());
            let (spared, of) = spared(self.dimensions, &masks, ranking, &self.selection.floors)?;
            let kept = kept_count(of, ranking.share);
            if spared > kept {
                let (label, key) = (budget.label.clone(), key.clone());
                return Err(RunError::Spared { label, key, kept, of, spared });
            }
        }
        Ok(())
    }

    /// Why the masks that `ranking`, that of `key`, keeps are too few for an image to get through.
    fn starved<A: Architecture>(&self, model: &A, ranking: &Ranking, key: &str) -> Option<String> {
        let of_key = |dimension: &&Dimension| ranking.dimensions.contains(&dimension.path);
        let ranked: Vec<&Dimension> =
            self.searched.iter().map(|(dimension, _)| dimension).filter(of_key).collect();
        let masks = MaskSet::new(self.searched, &Device::flex());
        let masks = ranked.iter().filter_map(|dimension| masks.get(&dimension.path));
        let masks: usize = masks.map(|mask| mask.values.dims()[0]).sum();
        let kept = kept_count(masks, ranking.share);
        // With a mask for each, none need be without units.
        if kept >= ranked.len() {
            return None;
        }
        let vital = |dimension: &&&Dimension| {
            !dimension.is_tokens() && is_blind_without(model, self.dimensions, &dimension.path, self.image)
        };
        let vital: Vec<&str> = ranked.iter().filter(vital).map(|dimension| dimension.path.as_str()).collect();
        (vital.len() > kept).then(|| {
            let names: Vec<String> = vital.iter().map(|path| format!("`{path}`")).collect();
            format!("\"{key}\" keeps {kept} of {masks} masks, but each of {} needs one", names.join(", "))
        })
    }

    /// What a user should know of what `budget` leaves of `model`, of which random `masks` leave `plan`.
    pub fn notes<A: Architecture>(
        &self,
        model: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
        plan: &Plan,
    ) -> Vec<String> {
        let label = &budget.label;
        let rankings = budget.rankings.iter().zip(&budget.shares);
        let mut notes: Vec<String> = rankings
            .filter_map(|(ranking, (key, _))| self.whole(masks, budget, plan, ranking, key))
            .collect();
        let is_emptied = plan.cuts.iter().any(|cut| cut.keep.is_empty() && cut.units() > 0);
        if is_emptied && let Some(gone) = blinding(model, self.dimensions, plan, self.image) {
            let advice = match budget.limits.is_empty() {
                true => "give the key a larger share, or the dimension a key of its own",
                false => "name a dimension of these under `keep_at_least`",
            };
            notes.push(format!(
                "cut by random masks, {label} lets no image through: {gone}. A search may do the same: {advice}"
            ));
        }
        notes
    }

    /// The note on a key that rounding leaves whole although its share is less.
    fn whole(
        &self,
        masks: &MaskSet,
        budget: &PreparedBudget,
        plan: &Plan,
        ranking: &Ranking,
        key: &str,
    ) -> Option<String> {
        let multiple = *ranking.dimensions.iter().find_map(|path| self.selection.multiples.get(path))?;
        let is_whole = |plan: &Plan| {
            let cuts = ranking.dimensions.iter().filter_map(|path| plan.get(path));
            cuts.into_iter().all(|cut| cut.keep.len() == cut.units())
        };
        let exact = rank_sparing(self.dimensions, masks, &budget.rankings, &self.selection.floors).ok()?;
        if !is_whole(plan) || is_whole(&exact) {
            return None;
        }
        let smaller = std::iter::successors(Some(multiple / 2), |multiple| Some(multiple / 2));
        let mut smaller = smaller.take_while(|multiple| *multiple > 1);
        let fits = |multiple: &usize| {
            let multiples = ranking.dimensions.iter().map(|path| (path.clone(), *multiple)).collect();
            self.rounded(exact.clone(), masks, &multiples).is_ok_and(|plan| !is_whole(&plan))
        };
        let advice = match smaller.find(fits) {
            Some(multiple) => format!("write `round_to: {multiple}`"),
            None => "leave `round_to` out".to_owned(),
        };
        Some(format!(
            "`round_to: {multiple}` leaves \"{key}\" whole: {} asks for {} of it, and keeps 1.000; {advice}",
            budget.label, ranking.share
        ))
    }

    /// The sub-network of `budget`, cut out of `dense` by random `masks`, with its plan.
    ///
    /// # Errors
    ///
    /// When the budget cannot leave a network, or a layer cannot be cut.
    pub fn cut<A: Architecture>(
        &self,
        dense: &A,
        masks: &MaskSet,
        budget: &PreparedBudget,
    ) -> Result<(Plan, A), RunError> {
        self.check(dense, budget)?;
        let plan = self.random_plan(dense, masks, budget)?;
        let sliced = attempt(|| match self.cut_rule {
            CutRule::Fold => dense.fold(masks).slim(&plan),
            CutRule::Hard => dense.slim(&plan),
        });
        let sliced = sliced.map_err(|said| RunError::Uncut { label: budget.label.clone(), said })??;
        Ok((plan, sliced))
    }
}

/// What each limit of `budget` allows, of a network whose size is `dense`.
fn limits(dense: Counts, budget: &PreparedBudget) -> Result<Vec<(Measure, u64)>, RunError> {
    let limit = |limit: &Limit| {
        let (label, of, largest) = (budget.label.clone(), limit.of, limit.of.of(dense));
        match limit.most.of(largest) {
            asked if asked > largest => Err(RunError::Larger { label, of: of.name(), asked, largest }),
            asked => Ok((of, asked)),
        }
    };
    budget.limits.iter().map(limit).collect()
}
