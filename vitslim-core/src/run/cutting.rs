//! Cuts by trained masks, or before there are any, by masks that are drawn at random: what a budget will leave, as far as that shows.

use std::cell::OnceCell;
use std::collections::HashMap;

use burn::tensor::Device;

use super::blindness::{blinding, is_blind_without};
use super::bounds::Bounds;
use super::budget::PreparedBudget;
use super::error::RunError;
use super::prepared::Prepared;
use super::selection::Selection;
use super::timing::Timing;
use crate::data::ImageShape;
use crate::experiment::{CutRule, Experiment};
use crate::importance::random_masks;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::{
    CutTokens, Dimension, DimensionKind, Floors, MaskSet, MaskSpec, NormStatistics, Plan, Ranking,
    can_leave_tokens, keep_a_token, kept_count, round, spared, thin_tokens,
};

/// What makes a plan of masks and a budget.
pub(crate) struct Cutting<'a> {
    /// The dense network's dimensions.
    pub(super) dimensions: &'a [Dimension],
    /// The searched ones, and how their masks are trained.
    pub(super) searched: &'a [(Dimension, MaskSpec)],
    /// What compares, what stays and what is rounded.
    pub(super) selection: &'a Selection,
    /// What becomes of the values of kept masks.
    pub(super) cut_rule: CutRule,
    norm: NormStatistics,
    tokens: CutTokens,
    /// Seed of the experiment.
    seed: u64,
    /// What an image is.
    pub(super) image: ImageShape,
    /// Where latencies are measured. Until that is known, nothing is cut by them.
    pub(super) timing: Option<&'a Timing>,
    /// Between what limits can choose, once it was counted.
    pub(super) bounds: OnceCell<Bounds>,
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
        Cutting { timing: self.timing.as_ref(), ..Cutting::new(&self.experiment, network, &self.selection) }
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
            norm: experiment.norm,
            tokens: experiment.tokens,
            seed: experiment.seed,
            image,
            timing: None,
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
        let plan = self.largest(model, masks, budget, 1.0)?;
        plan.map_or_else(|| Err(self.unreachable(model, masks, budget)?), Ok)
    }

    /// `plan` with norms and tokens as the experiment says.
    pub(super) fn as_written(&self, plan: Plan) -> Plan {
        Plan { norm: self.norm, tokens: self.tokens, ..plan }
    }

    pub(super) fn rounded(
        &self,
        plan: Plan,
        masks: &MaskSet,
        multiples: &HashMap<String, usize>,
    ) -> Result<Plan, RunError> {
        let plan = self.as_written(plan);
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
            dimension.kind == DimensionKind::Features
                && is_blind_without(model, self.dimensions, &dimension.path, self.image)
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
        let unmeasured = budget.limits.len() > self.limits(budget).len();
        let unmeasured = unmeasured.then(|| {
            format!(
                "no device is known here, so {label} is not cut by its latency: `vitslim plan` measures that"
            )
        });
        let rankings = budget.rankings.iter().zip(&budget.shares);
        let mut notes: Vec<String> = rankings
            .filter_map(|(ranking, (key, _))| self.whole(masks, budget, plan, ranking, key))
            .chain(unmeasured)
            .chain(self.spared_tokens(masks, budget))
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

    /// The note on tokens that stay although `budget` asks for `fewer` of them.
    fn spared_tokens(&self, masks: &MaskSet, budget: &PreparedBudget) -> Option<String> {
        let fewer = budget.fewer?.get();
        let thinned = |floors: &Floors| {
            let mut plan = Plan::whole(self.dimensions);
            thin_tokens(&mut plan, self.dimensions, masks, fewer, floors).map(|()| plan).ok()
        };
        let (asked, spared) = (thinned(&Floors::default())?, thinned(&self.selection.floors)?);
        let more = asked
            .cuts
            .iter()
            .zip(&spared.cuts)
            .find(|(asked, spared)| spared.keep.len() > asked.keep.len())?;
        let (asked, spared) = (more.0.keep.len(), more.1.keep.len());
        let gate = &more.0.dimension;
        Some(format!(
            "`keep_at_least` and `protect` keep {spared} tokens at `{gate}`, where {} asks for {asked}",
            budget.label
        ))
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
        let exact = self.allowed(masks, budget).ok()?;
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
