//! What the trials of an experiment will take, before any of them runs.

mod memory;
mod needs;
mod sizes;
mod time;

use std::path::Path;

use burn::tensor::Device;

use self::memory::Memory;
use self::sizes::{Network, Sizes};
use self::time::{Times, forward};
use crate::data::{Dataset, Stage, full_batches};
use crate::experiment::{Teacher, Training, Trial};
use crate::models::Architecture;
use crate::report::{PlannedLimit, PlannedMemory, PlannedStage, PlannedSubnet, PlannedTrial};
use crate::run::{
    Circumstances, Identities, Identity, Known, Prepared, Reach, RunError, Size, Teachers, scaled_rates,
};

/// What is known from the trials planned so far, since most trials have nearly everything in common.
#[derive(Default)]
pub struct Planning {
    known: Known,
    sizes: Sizes,
    /// The architectures that teachers can have.
    pub(crate) teachers: Teachers,
    /// Where to measure a step; `None` without estimates of time.
    times: Option<Times>,
    /// Where to measure latencies, and what that is called; `None` without.
    device: Option<(Device, String)>,
    /// What predicts the memory of stages; `None` if it is not told.
    memory: Option<Memory>,
}

impl Planning {
    /// Without times, of trials whose folders are in `out`; if `quiet`, it is not told how far reading the data is.
    pub(crate) fn of_runs_in(out: &Path, quiet: bool) -> Self {
        Self { known: Known::of_runs_in(out, quiet), ..Self::default() }
    }

    /// Measures latencies on `device`, which results call `name`, and estimates times too if `times`, from steps that it takes there.
    pub fn measuring_on(device: Device, name: String, times: bool) -> Self {
        let of_steps = times.then(|| Times::new(device.clone()));
        Self { times: of_steps, device: Some((device, name)), ..Self::default() }
    }

    /// Takes `data` for those of `trial`, so that they are not read again.
    #[must_use]
    pub(crate) fn with_data(mut self, trial: &Trial, data: Dataset) -> Self {
        self.known.know_data(trial, data);
        self
    }

    /// Tells the memory of stages too, on `device`, which has so many bytes `available`.
    #[must_use]
    pub fn with_memory(self, device: &Device, available: u64) -> Self {
        Self { memory: Some(Memory::on(device, available)), ..self }
    }
}

/// Plans a run of `trial`. Sub-networks are cut by random masks: a search will cut other units, but equally many of each kind.
///
/// # Errors
///
/// When the trial does not fit its data and network, or its networks cannot be built or trained.
pub fn plan<A: Architecture>(trial: &Trial, planning: &mut Planning) -> Result<PlannedTrial, RunError> {
    let (prepared, dense) = Prepared::<A>::of_sweep(trial, &mut planning.known)?;
    let mut prepared = prepared.with_teachers(trial, &planning.teachers, &mut planning.known)?;
    if let Some((device, name)) = &planning.device {
        prepared = prepared.timed_on(device, name, false);
    }
    // All trials have the same device, and of one configuration the same network.
    let nowhere = Circumstances { device: "", network: "" };
    let identities = Identities::new(&prepared, nowhere);
    let networks = planning.sizes.of(&prepared, dense, planning.memory.as_ref())?;
    let dense = &networks[0];
    let (params, dense_macs) = (dense.size.params, dense.size.macs);

    let mut stage = |stage: Stage, training: &Training, identity: &Identity, network: &Network| {
        let seconds = planning.times.as_mut().map(|times| times.of(&prepared, training));
        // For a sub-network only the time of the dense network is known, and the MACs of both. So it is for a teacher.
        let of_teacher = match training.teacher {
            None => 0,
            Some(Teacher::Dense { .. }) => dense_macs,
            Some(Teacher::Teacher { .. }) => {
                prepared.teachers.get(stage.name()).map_or(0, |opened| opened.macs)
            }
        };
        let macs = network.size.macs as f64 + forward(training) * of_teacher as f64;
        let seconds = seconds.transpose()?.map(|seconds| seconds * macs / dense_macs as f64);
        let recorded = dense.recorded.as_ref().zip(network.recorded.as_ref());
        let memory = planning
            .memory
            .as_mut()
            .zip(recorded)
            .map(|(memory, (dense, network))| memory.of(&prepared, (stage, training), dense, network));
        let memory = memory.transpose()?;
        Ok::<_, RunError>(PlannedStage {
            stage: stage.name(),
            epochs: training.epochs.get(),
            steps: training.epochs.get() * full_batches(prepared.data.train.len(), training.batch.get()),
            seconds,
            memory: memory.as_ref().map(|memory| memory.bytes),
            note: memory.and_then(|memory| memory.note),
            identity: identity.as_str().to_owned(),
        })
    };
    let experiment = &prepared.experiment;
    let mut stages = Vec::new();
    if let Some(training) = &experiment.pretrain {
        stages.push(stage(Stage::Pretrain, training, &identities.pretrain, dense)?);
    }
    if let Some(training) = &experiment.search_training() {
        stages.push(stage(Stage::Search, training, &identities.search, dense)?);
    }
    let mut subnets = Vec::new();
    for (budget, network) in prepared.budgets.iter().zip(&networks[1..]) {
        if let Some(training) = &experiment.retrain {
            let identity = identities.retrain(&prepared, budget);
            stages.push(stage(Stage::Retrain, training, &identity, network)?);
        }
        let Size { params, macs, reach, notes } = network.size.clone();
        let limits = reach.into_iter().map(|Reach { of, smallest, asked, largest }| PlannedLimit {
            of: of.name(),
            unit: of.unit(),
            smallest,
            asked,
            largest,
        });
        let label = budget.label.clone();
        subnets.push(PlannedSubnet { label, params, macs, limits: limits.collect(), notes });
    }
    let resolved = prepared.resolved()?;
    let data = serde_json::to_string(&prepared.sources()).unwrap_or_default();
    let start = prepared.start_path().map(|path| path.display().to_string());
    let importance = experiment.importance;
    Ok(PlannedTrial {
        trial: prepared.trial(),
        start,
        params,
        macs: dense_macs,
        subnets,
        memory: PlannedMemory::of(&stages),
        stages,
        without_search: (!importance.needs_search()).then_some(importance.name()),
        scaled_rates: scaled_rates(experiment),
        resolved,
        data,
    })
}
