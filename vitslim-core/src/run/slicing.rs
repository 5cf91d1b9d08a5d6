//! What a plan leaves of the network that was searched: its masks folded into the weights, what is cut made up for, and sliced.

use super::blindness::{blinding, is_blind_to};
use super::budget::PreparedBudget;
use super::error::RunError;
use super::stages::Run;
use crate::experiment::CutRule;
use crate::models::Architecture;
use crate::slim::{Plan, Slim, leaves_tokens};

impl<A: Architecture> Run<'_, A> {
    /// The dense network after the search, which is `searched` in every call, as `plan` is to cut it.
    ///
    /// # Errors
    ///
    /// When it is to be corrected for what is cut, and that fails or is interrupted.
    pub(super) fn base(&self, searched: &Slim<A>, plan: &Plan) -> Result<A, RunError> {
        let (base, correction) = match self.base.get() {
            Some(known) => known,
            None => {
                let base = self.folded(searched);
                let correction = self.prepared.correction(&base, self.setting)?;
                self.base.get_or_init(|| (base, correction))
            }
        };
        match correction {
            None => Ok(base.clone()),
            Some(correction) => {
                let interrupter = &self.setting.interrupter;
                let stop = || if interrupter.should_stop() { Err(RunError::Interrupted) } else { Ok(()) };
                correction.corrected(base, plan, stop)
            }
        }
    }

    /// The dense network after the search, whose masks become part of its weights where the experiment says so.
    pub(super) fn folded(&self, searched: &Slim<A>) -> A {
        match self.prepared.experiment.cut_rule() {
            CutRule::Fold => searched.model.fold(&searched.masks),
            CutRule::Hard => searched.model.clone(),
        }
    }

    /// The sub-network that `plan`, that of `budget`, leaves of `base`.
    ///
    /// # Errors
    ///
    /// When it has no token, or lets no image through.
    pub(super) fn sliced(&self, base: &A, plan: &Plan, budget: &PreparedBudget) -> Result<A, RunError> {
        let label = || budget.label.clone();
        leaves_tokens(plan, &self.prepared.dimensions)
            .map_err(|error| RunError::Tokenless { label: label(), error })?;
        let sliced = base.slim(plan)?;
        if is_blind_to(&sliced, &self.held_out, self.device)?
            && let Some(reason) = blinding(base, &self.prepared.dimensions, plan, self.image())
        {
            let help = match budget.limits.is_empty() {
                true => {
                    "give the dimension a larger share, or a key of its own; a run without a sweep then resumes from its search"
                }
                false => {
                    "ask for more, or name one of these under `keep_at_least`, in an experiment with another `name`"
                }
            };
            return Err(RunError::Blind { label: label(), reason, help: help.to_owned() });
        }
        Ok(sliced)
    }
}
