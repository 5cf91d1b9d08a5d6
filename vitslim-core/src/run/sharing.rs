//! Where trials of a sweep share the stages that they have in common.

use std::path::PathBuf;

use super::identity::{Circumstances, Identities, code};
use super::keys::PreparedBudget;
use super::prepare::Prepared;
use super::setting::Setting;
use crate::data::Stage;
use crate::device::is_cpu;
use crate::models::Architecture;

/// Folder of the shared stages, beside those of the trials; no trial and no experiment can have this name.
pub(crate) const SHARED: &str = ".shared";

/// The shared stages of a sweep, as one of its trials sees them.
pub(super) struct Sharing {
    folder: PathBuf,
    identities: Identities,
}

impl Sharing {
    /// The shared stages for the trial `prepared`; `None` without a sweep, or if this program cannot identify itself.
    pub(super) fn of<A: Architecture>(prepared: &Prepared<A>, setting: &Setting) -> Option<Self> {
        prepared.swept.as_ref()?;
        // A CPU's name includes its number of threads, which does not change the results.
        let device = match is_cpu(&setting.devices.first.device) {
            true => format!("{} x cpu", 1 + setting.devices.others.len()),
            false => setting.device_name.to_owned(),
        };
        let circumstances =
            Circumstances { data: &prepared.data.fingerprint(), device: &device, code: code()? };
        let folder = setting.out.join(prepared.experiment.name.as_str()).join(SHARED);
        Some(Self { folder, identities: Identities::new(prepared, circumstances) })
    }

    /// Folder of a stage; `budget` is that of the sub-network for a retraining.
    pub(super) fn folder<A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        stage: Stage,
        budget: Option<&PreparedBudget>,
    ) -> PathBuf {
        let identity = match (stage, budget) {
            (Stage::Pretrain, _) => self.identities.pretrain.clone(),
            (Stage::Retrain, Some(budget)) => self.identities.retrain(prepared, budget),
            (Stage::Search | Stage::Retrain, _) => self.identities.search.clone(),
        };
        self.folder.join(format!("{}-{}", stage.name(), identity.as_str()))
    }
}
