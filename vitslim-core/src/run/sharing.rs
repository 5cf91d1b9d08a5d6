//! Where trials of a sweep share what they have in common.

use std::path::PathBuf;

use super::identity::{Circumstances, Identities, code};
use super::keys::PreparedBudget;
use super::prepare::Prepared;
use super::setting::Setting;
use crate::data::Stage;
use crate::device::is_cpu;
use crate::models::Architecture;

/// Folder of the shared stages, beside the trials; no trial and no experiment can be called so.
pub(crate) const SHARED: &str = ".shared";

/// The shared stages of a sweep, as one trial of it sees them.
pub(super) struct Sharing {
    folder: PathBuf,
    identities: Identities,
}

impl Sharing {
    /// That of the trial `prepared`; `None` where nothing is swept, or this program cannot tell itself from another.
    pub(super) fn of<A: Architecture>(prepared: &Prepared<A>, setting: &Setting) -> Option<Self> {
        prepared.swept.as_ref()?;
        // On CPUs results are the same for any number of threads, which their name has in it.
        let device = match is_cpu(&setting.devices.first.device) {
            true => format!("{} x cpu", 1 + setting.devices.others.len()),
            false => setting.device_name.to_owned(),
        };
        let circumstances =
            Circumstances { data: &prepared.data.fingerprint(), device: &device, code: code()? };
        let folder = setting.out.join(prepared.experiment.name.as_str()).join(SHARED);
        Some(Self { folder, identities: Identities::new(prepared, circumstances) })
    }

    /// Folder of a stage, for the sub-network of `budget` if it is that of one.
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
