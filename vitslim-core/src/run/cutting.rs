//! Cuts by masks that are drawn at random, before there are trained ones: what a budget will leave, as far as that shows.

use burn::tensor::{Device, Tensor, TensorData};
use rand::RngExt;

use super::blindness::{blinding, is_blind_without};
use super::error::RunError;
use super::keys::PreparedBudget;
use super::prepare::Prepared;
use crate::data::{ImageShape, Moment, Stage};
use crate::experiment::CutRule;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::slim::{
    Dimension, MaskSet, MaskSpec, Plan, RankError, Ranking, can_leave_tokens, keep_a_token, kept_count, rank,
    round,
};

/// What makes a plan of masks and a budget.
#[derive(Clone, Copy)]
pub(crate) struct Cutting<'a> {
    /// The dense network's dimensions.
    pub dimensions: &'a [Dimension],
    /// The searched ones, and how their masks are trained.
    pub searched: &'a [(Dimension, MaskSpec)],
    /// What becomes of the values of kept masks.
    pub cut_rule: CutRule,
    /// What kept counts are rounded to.
    pub round_to: Option<usize>,
    /// Seed of the experiment.
    pub seed: u64,
    /// What an image is.
    pub image: ImageShape,
}

impl<A: Architecture> Prepared<A> {
    /// The plan for `budget`: the ranking of the trained masks, rounded if the experiment says so.
    pub(crate) fn plan(&self, masks: &MaskSet, budget: &PreparedBudget) -> Result<Plan, RankError> {
        self.cutting().plan(masks, budget)
    }

    /// How its sub-networks are cut.
    pub(super) fn cutting(&self) -> Cutting<'_> {
        Cutting {
            dimensions: &self.dimensions,
            searched: &self.searched,
            cut_rule: self.experiment.cut,
            round_to: self.experiment.round_to.map(|multiple| multiple.get()),
            seed: self.experiment.seed,
            image: self.data.shape,
        }
    }
}

impl Cutting<'_> {
    /// The plan for `budget`: the ranking of `masks`, rounded if the experiment says so.
    pub fn plan(&self, masks: &MaskSet, budget: &PreparedBudget) -> Result<Plan, RankError> {
        self.rounded(masks, budget, self.round_to)
    }

    fn rounded(
        &self,
        masks: &MaskSet,
        budget: &PreparedBudget,
        multiple: Option<usize>,
    ) -> Result<Plan, RankError> {
        let plan = rank(self.dimensions, masks, &budget.rankings)?;
        match multiple {
            None => Ok(plan),
            Some(multiple) => round(plan, self.dimensions, masks, multiple),
        }
    }

    /// Masks drawn at random, by the seed.
    pub fn random_masks(&self, device: &Device) -> MaskSet {
        let mut generator = Moment { seed: self.seed, stage: Stage::Search, epoch: 0, step: 0 }.generator();
        MaskSet::new(self.searched, device).map_values(|_, old| {
            let drawn: Vec<f32> = (0..old.dims()[0]).map(|_| generator.random()).collect();
            Tensor::from_data(TensorData::new(drawn, old.dims()), device)
        })
    }

    /// The plan for `budget` by random `masks`. A search may leave tokens where these masks do not: one is left.
    pub fn random_plan(&self, masks: &MaskSet, budget: &PreparedBudget) -> Result<Plan, RankError> {
        let mut plan = self.plan(masks, budget)?;
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
            notes.push(format!(
                "cut by random masks, {label} lets no image through: {gone}. A search may do the same: give the key a larger \
                 share, or the dimension a key of its own"
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
        let multiple = self.round_to?;
        let is_whole = |plan: &Plan| {
            let cuts = ranking.dimensions.iter().filter_map(|path| plan.get(path));
            cuts.into_iter().all(|cut| cut.keep.len() == cut.units())
        };
        if !is_whole(plan) || is_whole(&self.rounded(masks, budget, None).ok()?) {
            return None;
        }
        let smaller = std::iter::successors(Some(multiple / 2), |multiple| Some(multiple / 2));
        let mut smaller = smaller.take_while(|multiple| *multiple > 1);
        let fits = |multiple: &usize| {
            self.rounded(masks, budget, Some(*multiple)).is_ok_and(|plan| !is_whole(&plan))
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
        let plan = self.random_plan(masks, budget)?;
        let sliced = attempt(|| match self.cut_rule {
            CutRule::Fold => dense.fold(masks).slim(&plan),
            CutRule::Hard => dense.slim(&plan),
        });
        let sliced = sliced.map_err(|said| RunError::Uncut { label: budget.label.clone(), said })??;
        Ok((plan, sliced))
    }
}
