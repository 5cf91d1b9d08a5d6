//! Which units a sub-network keeps.

use std::fmt;

use burn::tensor::{Device, Tensor, TensorData};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::describe::DimensionError;
use super::dimension::Dimension;

/// Which units of every dimension stay. `plan.ron` is this type.
///
/// It lists every dimension of the network it was made for with its dense sizes, even those that are kept whole, so that it
/// cannot be applied to another network, or twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// One cut per dimension, in the order of the traversal.
    pub cuts: Vec<Cut>,
    /// What norms take their statistics over.
    #[serde(default, skip_serializing_if = "NormStatistics::are_original")]
    pub norm: NormStatistics,
    /// What becomes of the tokens that are cut.
    #[serde(default, skip_serializing_if = "CutTokens::are_dropped")]
    pub tokens: CutTokens,
}

/// What a layer norm or an RMS norm takes its statistics over, where features of it are cut. Norms that several heads share, group
/// norms and batch norms stay as they are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum NormStatistics {
    /// As many features as the dense network has, those that are cut counting as zeros: as with masks of 0 on them.
    #[default]
    Original,
    /// The features that are left, as in a dense network of that width.
    Sliced,
}

impl NormStatistics {
    fn are_original(&self) -> bool {
        *self == Self::Original
    }
}

/// What becomes of the tokens that are cut.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
pub enum CutTokens {
    /// They are gone.
    #[default]
    Drop,
    /// Each is averaged into the one that stays and is most similar to it, image by image (Bolya et al. 2023). Where the architecture
    /// carries [sizes](crate::nn::TokenSizes), a token counts as often as tokens are in it.
    Merge,
}

impl CutTokens {
    fn are_dropped(&self) -> bool {
        *self == Self::Drop
    }
}

/// Which units of one dimension stay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Cut {
    /// Path of the dimension.
    pub dimension: String,
    /// Units of each group in the network that the plan was made for; a dimension that is not grouped has one group.
    pub of: Vec<usize>,
    /// The units that stay, ascending. The units of a grouped dimension are numbered through all groups; those of a token gate
    /// are the prunable tokens, without the prefix.
    pub keep: Vec<usize>,
}

/// A plan that does not belong to the model.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum PlanError {
    /// The plan names a dimension that the model lacks.
    #[error("the plan cuts `{0}`, which this model does not have")]
    UnknownDimension(String),
    /// The model has a dimension that the plan does not name.
    #[error("the plan does not name `{0}`, which this model has")]
    MissingDimension(String),
    /// The plan names a dimension twice.
    #[error("the plan names `{0}` twice")]
    Duplicate(String),
    /// The sizes differ.
    #[error(
        "the plan was made for {of} units at `{dimension}`, but this model has {found}: it is sliced already, or is another \
         model"
    )]
    Sizes {
        /// Path of the dimension.
        dimension: String,
        /// Sizes in the plan.
        of: Sizes,
        /// Sizes in the model.
        found: Sizes,
    },
    /// The kept units are not a strictly ascending list of existing ones.
    #[error(
        "the units that the plan keeps of `{dimension}` must be ascending and below {units}; {unit} is not"
    )]
    Units {
        /// Path of the dimension.
        dimension: String,
        /// Number of its units.
        units: usize,
        /// The first wrong unit.
        unit: usize,
    },
    /// Something in a branch is kept, and the branch is not.
    #[error("the plan keeps units of `{dimension}`, which go with the branch `{branch}` that it cuts")]
    Inside {
        /// Path of the dimension.
        dimension: String,
        /// Path of the branch.
        branch: String,
    },
    /// A token is kept after an earlier gate cut it.
    #[error("the plan keeps token {token} at `{dimension}`, but an earlier token gate cuts it")]
    Resurrected {
        /// Path of the gate.
        dimension: String,
        /// Number of the token among the prunable ones of the dense network.
        token: usize,
    },
    /// The second of two plans leaves the statistics of norms that the first slices.
    #[error("the network was cut with `norm: Sliced`, and only another plan with that cuts it further")]
    Norm,
    /// A layer that does not work with the features that are left.
    #[error("the plan cuts `{dimension}`, but the {side} of `{layer}` cannot be cut like that: {reason}")]
    Layer {
        /// Path of the dimension.
        dimension: String,
        /// Path of the layer.
        layer: String,
        /// Side of the layer.
        side: String,
        /// What the layer says.
        reason: String,
    },
    /// The model's annotations contradict each other, or its sizes.
    #[error(transparent)]
    Dimension(#[from] DimensionError),
}

/// Units of each group, shown as `64` or `3 x 64` or `16 + 13 + 9`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sizes(pub Vec<usize>);

impl fmt::Display for Sizes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.as_slice() {
            [] => write!(f, "0"),
            [one] => write!(f, "{one}"),
            [first, rest @ ..] if rest.iter().all(|size| size == first) => {
                write!(f, "{} x {first}", self.0.len())
            }
            sizes => {
                write!(f, "{}", sizes.iter().map(usize::to_string).collect::<Vec<_>>().join(" + "))
            }
        }
    }
}

impl Plan {
    /// The plan that keeps everything.
    pub fn whole(dimensions: &[Dimension]) -> Self {
        let cut = |dimension: &Dimension| Cut {
            dimension: dimension.path.clone(),
            of: dimension.groups.clone(),
            keep: (0..dimension.units()).collect(),
        };
        Self {
            cuts: dimensions.iter().map(cut).collect(),
            norm: NormStatistics::Original,
            tokens: CutTokens::Drop,
        }
    }

    /// The cut of the dimension at `path`.
    pub fn get(&self, path: &str) -> Option<&Cut> {
        self.cuts.iter().find(|cut| cut.dimension == path)
    }

    /// The plan that drops the tokens that this one may merge. Into which one a token is merged is a choice, which the smallest difference
    /// may turn: networks that ought to be the same are compared without.
    pub(crate) fn dropping(&self) -> Self {
        Self { tokens: CutTokens::Drop, ..self.clone() }
    }

    /// What files call the tokens that stay at a gate. A program that knows nothing of merging does not find what it looks for.
    pub(crate) fn of_tokens_that_stay(&self, keep: &[usize]) -> &'static str {
        let merges = self.tokens == CutTokens::Merge && !keep.is_empty();
        if merges { "merge_into" } else { "keep" }
    }

    /// Whether it cuts tokens, at any gate among `dimensions`.
    pub(crate) fn cuts_tokens(&self, dimensions: &[Dimension]) -> bool {
        let mut gates = dimensions.iter().filter(|dimension| dimension.is_tokens());
        gates.any(|gate| self.get(&gate.path).is_some_and(|cut| cut.keep.len() < cut.units()))
    }

    /// The cut of the dimension at `path`, to change it.
    pub fn get_mut(&mut self, path: &str) -> Option<&mut Cut> {
        self.cuts.iter_mut().find(|cut| cut.dimension == path)
    }

    /// Checks that the plan was made for a network with `dimensions` and can be carried out.
    ///
    /// # Errors
    ///
    /// The first mistake.
    pub fn check(&self, dimensions: &[Dimension]) -> Result<(), PlanError> {
        for (index, cut) in self.cuts.iter().enumerate() {
            if self.cuts[..index].iter().any(|other| other.dimension == cut.dimension) {
                return Err(PlanError::Duplicate(cut.dimension.clone()));
            }
            if !dimensions.iter().any(|dimension| dimension.path == cut.dimension) {
                return Err(PlanError::UnknownDimension(cut.dimension.clone()));
            }
        }
        let mut tokens_left: Option<Vec<usize>> = None;
        for dimension in dimensions {
            let Some(cut) = self.get(&dimension.path) else {
                // Plans that were made before networks had gates at their branches keep these.
                if dimension.is_branch() && self.gone_with(dimension).is_none() {
                    continue;
                }
                return Err(PlanError::MissingDimension(dimension.path.clone()));
            };
            cut.check(dimension)?;
            if let Some(branch) = self.gone_with(dimension).filter(|_| !cut.keep.is_empty()) {
                let (dimension, branch) = (dimension.path.clone(), branch.to_owned());
                return Err(PlanError::Inside { dimension, branch });
            }
            if let Some(numbers) = dimension.tokens() {
                let kept: Vec<usize> = cut.keep.iter().map(|&unit| numbers[unit]).collect();
                let gone = |token: &&usize| tokens_left.as_ref().is_some_and(|left| !left.contains(token));
                if let Some(&token) = kept.iter().find(gone) {
                    let dimension = cut.dimension.clone();
                    return Err(PlanError::Resurrected { dimension, token });
                }
                tokens_left = Some(kept);
            }
        }
        Ok(())
    }

    /// The first of the other branches that are cut, and with them `dimension`: each layer that carries it is in one.
    pub(crate) fn gone_with<'d>(&self, dimension: &'d Dimension) -> Option<&'d str> {
        let is_cut = |branch: &str| self.get(branch).is_some_and(|cut| cut.keep.is_empty());
        let goes = |branch: &&str| *branch != dimension.path && is_cut(branch);
        let mut with =
            dimension.carriers.iter().map(|carrier| carrier.branches.iter().map(String::as_str).find(goes));
        let first = with.next()??;
        with.all(|branch| branch.is_some()).then_some(first)
    }

    /// The plan that does at once what this one and then `next` do: it has the sizes of the network that this plan was made for, and
    /// its units. What `next` makes of tokens, it makes of those that this one cuts too. `next` was made for what this plan left, with [heads in the order of the plan](super::heads_as_planned).
    ///
    /// # Errors
    ///
    /// When `next` was not made for what this plan leaves, or leaves the statistics of norms as they are where this plan slices them.
    pub fn then(&self, next: &Self) -> Result<Self, PlanError> {
        if let Some(unknown) = next.cuts.iter().find(|cut| self.get(&cut.dimension).is_none()) {
            return Err(PlanError::UnknownDimension(unknown.dimension.clone()));
        }
        let cut = |first: &Cut| {
            let next = next.get(&first.dimension);
            // What went with a branch is no dimension any more.
            if next.is_none() && first.keep.is_empty() {
                return Ok(first.clone());
            }
            let next = next.ok_or_else(|| PlanError::MissingDimension(first.dimension.clone()))?;
            first.then(next)
        };
        if !self.norm.are_original() && next.norm.are_original() {
            return Err(PlanError::Norm);
        }
        let cuts = self.cuts.iter().map(cut).collect::<Result<_, _>>()?;
        Ok(Self { cuts, norm: next.norm, tokens: next.tokens })
    }
}

impl Cut {
    /// Number of units in the network that the plan was made for.
    pub fn units(&self) -> usize {
        // A file may claim any sizes.
        self.of.iter().fold(0, |units, size| units.saturating_add(*size))
    }

    fn check(&self, dimension: &Dimension) -> Result<(), PlanError> {
        if self.of != dimension.groups {
            return Err(PlanError::Sizes {
                dimension: self.dimension.clone(),
                of: Sizes(self.of.clone()),
                found: Sizes(dimension.groups.clone()),
            });
        }
        let units = self.units();
        let descends = self.keep.windows(2).find(|pair| pair[0] >= pair[1]).map(|pair| pair[1]);
        let beyond = self.keep.iter().copied().find(|&unit| unit >= units);
        match descends.or(beyond) {
            Some(unit) => Err(PlanError::Units { dimension: self.dimension.clone(), units, unit }),
            None => Ok(()),
        }
    }

    /// What this cut and then `next` leave. Heads that are gone have no place in `next`, and no units here.
    fn then(&self, next: &Self) -> Result<Self, PlanError> {
        let left: Vec<usize> = self.by_group().iter().map(Vec::len).collect();
        let sizes = |sizes: &[usize]| sizes.iter().copied().filter(|size| *size > 0).collect::<Vec<_>>();
        if sizes(&left) != sizes(&next.of) {
            let (dimension, of, found) = (self.dimension.clone(), Sizes(next.of.clone()), Sizes(left));
            return Err(PlanError::Sizes { dimension, of, found });
        }
        let unit = |unit: &usize| {
            self.keep.get(*unit).copied().ok_or_else(|| PlanError::Units {
                dimension: self.dimension.clone(),
                units: self.keep.len(),
                unit: *unit,
            })
        };
        let keep = next.keep.iter().map(unit).collect::<Result<_, _>>()?;
        Ok(Self { dimension: self.dimension.clone(), of: self.of.clone(), keep })
    }

    /// 1 for each unit that stays and 0 for each other one, `[units]`.
    pub(super) fn factors(&self, device: &Device) -> Tensor<1> {
        let mut factors = vec![0.0_f32; self.units()];
        self.keep.iter().for_each(|&unit| factors[unit] = 1.0);
        Tensor::from_data(TensorData::new(factors, [self.units()]), device)
    }

    /// The kept units of each group.
    pub(crate) fn by_group(&self) -> Vec<Vec<usize>> {
        let mut start = 0;
        let mut groups = Vec::with_capacity(self.of.len());
        for size in &self.of {
            let end = start + size;
            groups.push(self.keep.iter().copied().filter(|u| (start..end).contains(u)).collect());
            start = end;
        }
        groups
    }
}

/// Cuts what goes with what is cut, whichever ranking, if any, it belongs to: all that is in a branch, and a token at every gate after the
/// first that cuts it.
pub(crate) fn settle(plan: &mut Plan, dimensions: &[Dimension]) {
    // With a branch another may go.
    let has = |plan: &Plan, path: &str| plan.get(path).is_some_and(|cut| !cut.keep.is_empty());
    while let Some(gone) = dimensions.iter().find(|of| has(plan, &of.path) && plan.gone_with(of).is_some())
        && let Some(cut) = plan.get_mut(&gone.path)
    {
        cut.keep.clear();
    }
    let mut left: Option<Vec<usize>> = None;
    for dimension in dimensions {
        let Some(numbers) = dimension.tokens() else { continue };
        let Some(cut) = plan.get_mut(&dimension.path) else { continue };
        if let Some(left) = &left {
            cut.keep.retain(|&unit| left.contains(&numbers[unit]));
        }
        left = Some(cut.keep.iter().map(|&unit| numbers[unit]).collect());
    }
}
