//! Where trials of a sweep share the stages that they have in common.

use std::path::PathBuf;

use burn::tensor::Device;

use super::data_record::DataRecord;
use super::error::RunError;
use super::folder::{DATA, FolderError, RunFolder};
use super::identity::{Circumstances, Identities};
use super::initial::initial;
use super::keys::PreparedBudget;
use super::prepare::Prepared;
use super::setting::Setting;
use crate::data::Stage;
use crate::device::is_cpu;
use crate::graph::signature;
use crate::models::Architecture;
use crate::terminal::say;
use crate::train::shared_name;
use crate::whole_file::write_whole;

/// Folder of the shared stages, beside those of the trials; no trial and no experiment can have this name.
pub(crate) const SHARED: &str = ".shared";

/// The shared stages of a sweep, as one of its trials sees them.
pub(super) struct Sharing {
    folder: PathBuf,
    identities: Identities,
}

impl Sharing {
    /// The shared stages for the trial `prepared` in the folder `run`; `None` without a sweep, or if the trial has trained something
    /// that goes by another name: on another device, with another network or by an earlier version. That stays as it is, and
    /// neither it nor what follows from it is shared. What a run without a sweep has trained has no name yet, and gets this one.
    ///
    /// # Errors
    ///
    /// When its network cannot be built, or its forward pass cannot be recorded.
    pub(super) fn of<A: Architecture>(
        prepared: &Prepared<A>,
        setting: &Setting,
        run: &RunFolder,
    ) -> Result<Option<Self>, RunError> {
        if prepared.swept.is_none() {
            return Ok(None);
        }
        // A CPU's name includes its number of threads, which does not change the results.
        let device = match is_cpu(&setting.devices.first.device) {
            true => format!("{} x cpu", 1 + setting.devices.others.len()),
            false => setting.device_name.to_owned(),
        };
        let network = initial(prepared, &Device::flex()).map_err(RunError::Config)?;
        let network = signature(&network, prepared.data.shape)?;
        let circumstances = Circumstances { device: &device, network: &network };
        let folder = setting.out.join(prepared.experiment.name.as_str()).join(SHARED);
        let sharing = Self { folder, identities: Identities::new(prepared, circumstances) };
        let stages = [(Stage::Pretrain, None), (Stage::Search, None)];
        let retrainings = prepared.budgets.iter().map(|budget| (Stage::Retrain, Some(budget)));
        let mut stages = stages.into_iter().chain(retrainings);
        let other = stages.find(|&(stage, budget)| {
            let label = budget.map(|budget| budget.label.as_str());
            let there = shared_name(run.path(), stage, label);
            there.is_some_and(|there| there != sharing.name(prepared, stage, budget))
        });
        if let Some((stage, _)) = other {
            say(format_args!(
                "{}: its checkpoints are of another device, another network or an earlier version; this trial resumes from \
                 them, and shares nothing",
                stage.name()
            ));
            return Ok(None);
        }
        Ok(Some(sharing))
    }

    /// Name of a stage, and of its folder.
    fn name<A: Architecture>(
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

    /// Folder of a stage, with the record of its data in it; `budget` is that of the sub-network for a retraining.
    ///
    /// # Errors
    ///
    /// When that file cannot be written.
    pub(super) fn folder<A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        stage: Stage,
        budget: Option<&PreparedBudget>,
    ) -> Result<PathBuf, FolderError> {
        let folder = self.folder.join(self.name(prepared, stage, budget));
        let file = folder.join(DATA);
        if !file.exists() {
            let text = DataRecord::new(prepared.data.content()).text().map_err(std::io::Error::from);
            let written = text.and_then(|text| write_whole(&file, text.as_bytes()));
            written.map_err(|source| FolderError::Io { action: "write", path: file, source })?;
        }
        Ok(folder)
    }
}
