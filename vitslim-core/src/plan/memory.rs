//! Predicts how much memory stages need.

use std::collections::{HashMap, HashSet};

use burn::module::ParamId;
use burn::tensor::Device;

use super::needs::Needs;
use crate::data::Stage;
use crate::device::{PROCESS, is_cpu, occupied};
use crate::experiment::{Freeze, Teacher, Training};
use crate::graph::{Recording, TrainingSetting, record_training};
use crate::models::{Architecture, Parameter};
use crate::run::{Prepared, RunError};
use crate::slim::{MaskSet, Slim};

/// Predictions for a device, by what they depend on.
pub(super) struct Memory {
    /// Whether it is the CPU, whose operations are fused.
    is_cpu: bool,
    /// Bytes that it has.
    available: u64,
    known: HashMap<String, Predicted>,
}

/// What a stage needs.
#[derive(Clone, Debug)]
pub(super) struct Predicted {
    pub bytes: u64,
    /// What to do if the device has less.
    pub note: Option<String>,
}

/// A network as it is recorded for that.
pub(super) struct Recorded {
    /// All that it depends on.
    key: String,
    alone: Recording,
    /// With the masks of the search, if there is one.
    searched: Option<Recording>,
}

impl Memory {
    /// On `device`, which has so many bytes `available`.
    pub(super) fn on(device: &Device, available: u64) -> Self {
        Self { is_cpu: is_cpu(device), available, known: HashMap::new() }
    }

    /// Records `model`, which depends on `key`: the network that the run starts from if `is_dense`, which is searched.
    ///
    /// # Errors
    ///
    /// When its forward pass cannot be recorded.
    pub(super) fn record<A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        model: &A,
        key: &str,
        is_dense: bool,
    ) -> Result<Recorded, RunError> {
        let experiment = &prepared.experiment;
        let alone = self.recorded(prepared, &Slim::dense(model.clone()), &HashSet::new())?;
        let searched = (is_dense && experiment.search_training().is_some()).then(|| {
            let masks = MaskSet::new(&prepared.searched, &Device::flex());
            let frozen = experiment.search.freeze.map(|Freeze::Weights| Parameter::annotated(model));
            let frozen = frozen.into_iter().flatten().filter(Parameter::freezes);
            let frozen = frozen.map(|parameter| parameter.id).collect();
            self.recorded(prepared, &Slim { model: model.clone(), masks }, &frozen)
        });
        Ok(Recorded { key: key.to_owned(), alone, searched: searched.transpose()? })
    }

    /// What a stage needs that trains `network` with the settings `training`. The network that the run starts from is `dense`.
    ///
    /// # Errors
    ///
    /// When the forward pass of its teacher cannot be recorded.
    pub(super) fn of<A: Architecture>(
        &mut self,
        prepared: &Prepared<A>,
        (stage, training): (Stage, &Training),
        dense: &Recorded,
        network: &Recorded,
    ) -> Result<Predicted, RunError> {
        let settings = (training.batch, training.accumulate, training.checkpointing, training.ema.is_some());
        let key = format!(
            "{stage:?} {} {} {settings:?} {:?} {:?}",
            network.key,
            dense.key,
            training.optimizer.moments(),
            training.teacher
        );
        if let Some(known) = self.known.get(&key) {
            return Ok(known.clone());
        }
        let opened = match (&training.teacher, prepared.teachers.get(stage.name())) {
            (Some(Teacher::Teacher { .. }), Some(opened)) => {
                Some(opened.record(self.setting(prepared, &HashSet::new()))?)
            }
            _ => None,
        };
        let needs = Needs {
            training,
            network: match stage {
                Stage::Search => network.searched.as_ref().unwrap_or(&network.alone),
                Stage::Pretrain | Stage::Retrain => &network.alone,
            },
            teacher: match training.teacher {
                Some(Teacher::Dense { .. }) => Some(&dense.alone),
                _ => opened.as_ref(),
            },
            image: prepared.data.shape,
            beside: if self.is_cpu { PROCESS } else { 0 },
            occupied: if self.is_cpu { occupied } else { |bytes| bytes },
        };
        let bytes = needs.bytes(training.accumulate.get(), training.checkpointing);
        let note = needs.note(stage, self.available);
        let predicted = Predicted { bytes, note };
        self.known.insert(key, predicted.clone());
        Ok(predicted)
    }

    fn recorded<A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        slim: &Slim<A>,
        frozen: &HashSet<ParamId>,
    ) -> Result<Recording, RunError> {
        Ok(record_training(slim, self.setting(prepared, frozen))?)
    }

    fn setting<'a, A: Architecture>(
        &self,
        prepared: &Prepared<A>,
        frozen: &'a HashSet<ParamId>,
    ) -> TrainingSetting<'a> {
        let (image, precision) = (prepared.data.shape, prepared.experiment.precision);
        TrainingSetting { image, precision, frozen, fused: self.is_cpu }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use burn::module::Module;

    use super::*;
    use crate::experiment::Document;
    use crate::graph::Occupied;
    use crate::models::Vit;
    use crate::run::initial;

    /// `bench/README.md` has the memory of the process that was measured in GB.
    #[test]
    fn a_deit_small_needs_on_the_cpu_what_was_measured_there() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../experiments/bench_deit_small.ron");
        let document = Document::read(&file, &["data.images=20".to_owned()]).unwrap();
        let prepared = Prepared::<Vit>::new(&document.trial().unwrap()).unwrap();
        let dense = initial(&prepared, &Device::flex()).unwrap().valid();
        let recorded = Memory::on(&Device::flex(), u64::MAX).record(&prepared, &dense, "", false).unwrap();
        for (batch, checkpointing, measured) in
            [(16, false, 1.53), (16, true, 0.65), (64, false, 5.50), (64, true, 1.54)]
        {
            let sets = ["data.images=20".to_owned(), format!("search.batch={batch}")];
            let training = Document::read(&file, &sets).unwrap().experiment().unwrap().search.training();
            let needs = |occupied: Occupied| Needs {
                training: &training,
                network: &recorded.alone,
                teacher: None,
                image: prepared.data.shape,
                beside: PROCESS,
                occupied,
            };
            let predicted = needs(occupied).bytes(1, checkpointing) as f64 / 1e9;
            let of_tensors = needs(|bytes| bytes).bytes(1, checkpointing) as f64 / 1e9;
            let off = predicted / measured - 1.0;
            println!(
                "batch {batch}, checkpointing {checkpointing}: {predicted:.3} GB predicted ({of_tensors:.3} in tensors), {measured} \
                 measured, {:+.1} %",
                100.0 * off
            );
            assert!(off.abs() <= 0.15, "{off}");
        }
    }
}
