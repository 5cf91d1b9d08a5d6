//! Compares hard-masked and sliced networks, and narrows down where they differ.

use std::collections::HashSet;

use burn::module::Module;
use rand_chacha::ChaCha8Rng;

use super::alike::told_once;
use super::blame::{Blame, blame};
use super::culprit::Culprit;
use super::pattern::{pattern, patterns};
use super::plans::{cuts_something, restored, trials};
use super::subject::{Outcome, Subject};
use super::twin::twin;
use crate::models::Architecture;
use crate::report::Reason;
use crate::slim::{Dimension, Plan};

/// The result of the comparisons.
#[derive(Debug, Default)]
pub(super) struct Proof {
    /// Number of mask sets for which the hard-masked and the sliced network agree.
    pub plans: usize,
    /// Largest difference of their logits over the largest logit.
    pub largest_difference: f64,
    /// Why they differ for others.
    pub reasons: Vec<Reason>,
}

/// Compares the hard-masked with the sliced network for many mask sets. A dimension that was found to be wrong is no longer
/// cut, so that other mistakes are found too; nor are tokens if their gates are known to be wrong.
pub(super) fn prove<A: Architecture>(
    subject: &Subject<A>,
    tokens_are_wrong: bool,
    rounds: usize,
    attempts: usize,
    rng: &mut ChaCha8Rng,
) -> Proof {
    let mut proof = Proof::default();
    let mut reasons = Vec::new();
    let mut wrong: HashSet<String> = HashSet::new();
    let mut repaired = Vec::new();
    let tokens = || subject.dimensions.iter().filter(|d| d.is_tokens()).map(|d| pattern(&d.path));
    if tokens_are_wrong {
        wrong.extend(tokens());
    }
    for trial in trials(&subject.dimensions, rounds, rng) {
        loop {
            let is_wrong = |index: usize| wrong.contains(&pattern(&subject.dimensions[index].path));
            let plan = restored(&subject.dimensions, &trial.plan, is_wrong);
            if !cuts_something(&plan) {
                break;
            }
            let outcome = subject.compare(&plan, &[]);
            if let Outcome::Same(difference) = outcome {
                proof.plans += 1;
                proof.largest_difference = proof.largest_difference.max(difference);
                break;
            }
            let plan = narrowed(subject, plan);
            let guilty = guilty(&subject.dimensions, &plan);
            wrong.extend(guilty.iter().map(|&index| pattern(&subject.dimensions[index].path)));
            // All token gates must be kept whole together, since later ones cut what an earlier one cuts.
            if guilty.iter().any(|&index| subject.dimensions[index].is_tokens()) {
                wrong.extend(tokens());
            }
            let outcome = subject.compare(&plan, &[]);
            let culprit = Culprit { subject, cuts: &trial.cuts, plan, guilty, outcome };
            let first = subject.dimensions[culprit.guilty[0]].path.clone();
            // What is one dimension is told once.
            let twin = twin(&culprit);
            if let Some((outer, inner)) = twin {
                wrong.extend([outer, inner].map(pattern));
            }
            let Blame { reason, repairs } = blame(&culprit, twin, attempts);
            // One mistake at an axis of several dimensions is told once.
            if repairs.is_empty() || !repaired.contains(&repairs) {
                reasons.push((first, reason));
                repaired.push(repairs);
            }
        }
    }
    proof.reasons = told_once(reasons);
    proof
}

/// Indices of the dimensions that `plan` cuts, without what goes with a branch, and without branches that another one has.
fn guilty(dimensions: &[Dimension], plan: &Plan) -> Vec<usize> {
    let is_cut = |index: &usize| plan.cuts[*index].keep.len() < plan.cuts[*index].units();
    let cut: Vec<usize> = (0..plan.cuts.len()).filter(is_cut).collect();
    let ends = |index: usize| dimensions[index].carriers.iter().map(|end| &end.layer);
    let has = |larger: usize, index: usize| {
        dimensions[larger].is_branch()
            && ends(index).all(|end| ends(larger).any(|other| other == end))
            && (ends(larger).count() > ends(index).count() || larger < index)
    };
    let is_free = |index: &usize| match dimensions[*index].is_branch() {
        true => !cut.iter().any(|other| other != index && has(*other, *index)),
        false => plan.gone_with(&dimensions[*index]).is_none(),
    };
    cut.iter().copied().filter(is_free).collect()
}

/// `plan`, which fails, with as many dimensions kept whole as possible so that it still fails.
fn narrowed<A: Architecture>(subject: &Subject<A>, mut plan: Plan) -> Plan {
    let dimensions = &subject.dimensions;
    let fails = |plan: &Plan| cuts_something(plan) && !subject.compare(plan, &[]).is_same();
    for (_, members) in patterns(dimensions) {
        let without = restored(dimensions, &plan, |index| members.contains(&index));
        if without != plan && fails(&without) {
            plan = without;
        }
    }
    // One instance of a struct with a mistake is enough.
    for (_, members) in patterns(dimensions) {
        for member in &members {
            let alone = restored(dimensions, &plan, |index| index != *member && members.contains(&index));
            if alone != plan && alone.cuts[*member] == plan.cuts[*member] && fails(&alone) {
                plan = alone;
                break;
            }
        }
    }
    plan
}

impl<A: Architecture + Module> Subject<A> {
    /// Number of other dimensions with the pattern of dimension `index`.
    pub(super) fn others_like(&self, index: usize) -> usize {
        let name = pattern(&self.dimensions[index].path);
        self.dimensions.iter().filter(|other| pattern(&other.path) == name).count() - 1
    }
}
