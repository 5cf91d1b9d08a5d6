//! What the stages of a run are called, and where trials of a sweep share those that they have in common.

use std::path::PathBuf;

use super::budget::PreparedBudget;
use super::error::RunError;
use super::folder::RunFolder;
use super::identity::{Circumstances, Identities};
use super::prepared::Prepared;
use super::setting::Setting;
use crate::data::Stage;
use crate::device::is_cpu;
use crate::graph::signature;
use crate::models::Architecture;
use crate::terminal::say;
use crate::train::is_named;

/// Folder of the shared stages, beside those of the trials; no trial and no experiment can have this name.
pub(crate) const SHARED: &str = ".shared";

/// The names of the stages of a run, and where it shares them.
pub(super) struct Sharing {
    /// `None` where nothing is shared.
    folder: Option<PathBuf>,
    identities: Identities,
}

impl Sharing {
    /// The names for `prepared`, which starts from `network`, in the folder `run`. A trial of a sweep shares its stages, unless it has trained something that does not
    /// go by its name: on another device, with another network or by an earlier version. That stays as it is, and neither it nor
    /// what follows from it is shared.
    ///
    /// # Errors
    ///
    /// When the forward pass cannot be recorded.
    pub(super) fn of<A: Architecture>(
        prepared: &Prepared<A>,
        network: &A,
        setting: &Setting,
        run: &RunFolder,
    ) -> Result<Self, RunError> {
        // A CPU's name includes its number of threads, which does not change the results.
        let device = match is_cpu(&setting.devices.first.device) {
            true => format!("{} x cpu", 1 + setting.devices.others.len()),
            false => setting.device_name.to_owned(),
        };
        let network = signature(network, prepared.data.shape)?;
        let circumstances = Circumstances { device: &device, network: &network };
        let mut sharing = Self { folder: None, identities: Identities::new(prepared, circumstances) };
        if prepared.swept.is_none() {
            return Ok(sharing);
        }
        let stages = [(Stage::Pretrain, None), (Stage::Search, None)];
        let retrainings = prepared.budgets.iter().map(|budget| (Stage::Retrain, Some(budget)));
        let mut stages = stages.into_iter().chain(retrainings);
        let other = stages.find(|&(stage, budget)| {
            let label = budget.map(|budget| budget.label.as_str());
            !is_named(run.path(), stage, label, &sharing.name(prepared, stage, budget))
        });
        match other {
            Some((stage, _)) => say(format_args!(
                "{}: its checkpoints are of another device, another network or an earlier version; this trial resumes from \
                 them, and shares nothing",
                stage.name()
            )),
            None => {
                sharing.folder = Some(setting.out.join(prepared.experiment.name.as_str()).join(SHARED));
            }
        }
        Ok(sharing)
    }

    /// Name of a stage, and of its folder; `budget` is that of the sub-network for a retraining.
    pub(super) fn name<A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        stage: Stage,
        budget: Option<&PreparedBudget>,
    ) -> String {
        let identity = match (stage, budget) {
            (Stage::Pretrain, _) => self.identities.pretrain.clone(),
            (Stage::Retrain, Some(budget)) => self.identities.retrain(prepared, budget),
            (Stage::Search | Stage::Retrain, _) => self.identities.search.clone(),
        };
        format!("{}-{}", stage.name(), identity.as_str())
    }

    /// Folder of a stage; `None` where nothing is shared.
    pub(super) fn folder<A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        stage: Stage,
        budget: Option<&PreparedBudget>,
    ) -> Option<PathBuf> {
        // What is cut by its latency depends on when that was measured.
        let folder =
            self.folder.as_ref().filter(|_| budget.is_none_or(|budget| budget.latency().is_none()))?;
        Some(folder.join(self.name(prepared, stage, budget)))
    }
}
