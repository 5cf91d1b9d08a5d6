//! What teaches the stages of a run.

use std::path::Path;

use burn::tensor::Device;

use super::error::RunError;
use super::features::PatchAxes;
use super::folder::teacher_file;
use super::known::Known;
use super::networks::initial;
use super::prepare_error::PrepareError;
use super::prepared::Prepared;
use super::teacher::{OpenedTeacher, Teachers};
use crate::data::{Dataset, Stage};
use crate::experiment::{ExperimentErrors, Teacher as Written, Trial};
use crate::models::Architecture;
use crate::slim::{Plan, heads_by_size};
use crate::train::Teacher;

impl Known {
    /// The network that teaches `stage` of `trial`, of one of the architectures of `teachers`, for `data`; `None` if none does, or the dense
    /// one.
    fn teacher(
        &mut self,
        trial: &Trial,
        teachers: &Teachers,
        stage: &'static str,
        data: &Dataset,
    ) -> Result<Option<OpenedTeacher>, ExperimentErrors> {
        let Trial { experiment, .. } = trial;
        let written: Vec<_> = experiment.teachers().filter(|(taught, _)| *taught == stage).collect();
        let written = format!("{written:?} {:?}", experiment.data);
        if let Some(known) = self.teachers.get(&written) {
            return Ok(known.clone());
        }
        // Each trial may have a copy of its own.
        let run = self.folder(trial);
        let opened = teachers.open(trial, stage, data, run.as_deref())?;
        self.teachers.insert(written, opened.clone());
        Ok(opened)
    }

    /// The dimensions along the features of the network of `prepared`, which teaches `stage` of `trial`.
    fn patch_axes<A: Architecture>(
        &mut self,
        trial: &Trial,
        stage: &'static str,
        prepared: &Prepared<A>,
    ) -> Result<PatchAxes, ExperimentErrors> {
        let find = || {
            let device = Device::flex();
            let dense = initial(prepared, &device).map_err(|error| error.to_string())?.valid();
            PatchAxes::of(&dense, &prepared.dimensions, prepared.data.shape, &device)
        };
        let found = self.patch_axes.entry(prepared.network()).or_insert_with(find).clone();
        found.map_err(|reason| not_comparable(trial, stage, &reason))
    }
}

/// The error that the dense network of `trial` cannot teach its features to `stage`, for a reason of [`PatchAxes::of`].
pub(crate) fn not_comparable(trial: &Trial, stage: &'static str, reason: &str) -> ExperimentErrors {
    let message = format!("the architecture `{}` {reason}", trial.experiment.model.architecture);
    let help = "leave `features` out; an architecture of your own offers them by `Architecture::features`";
    trial.document.error(&[stage, "teacher", "features"], message, Some(help.to_owned()))
}

impl<A: Architecture> Prepared<A> {
    /// The same with the networks that teach, of the architectures of `teachers`. What was opened is `known` to the next trial.
    ///
    /// # Errors
    ///
    /// When one cannot be read, or does not fit the data.
    pub(crate) fn with_teachers(
        mut self,
        trial: &Trial,
        teachers: &Teachers,
        known: &mut Known,
    ) -> Result<Self, PrepareError> {
        for (stage, written) in trial.experiment.teachers() {
            let opened = known.teacher(trial, teachers, stage, &self.data)?;
            self.teachers.extend(opened.map(|opened| (stage, opened)));
            if written.features().is_some() {
                self.patch_axes = Some(known.patch_axes(trial, stage, &self)?);
            }
        }
        Ok(self)
    }

    /// The same with the network that teaches `stage` alone, of which the folder `run` may have a copy.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or does not fit the data.
    pub(crate) fn with_teacher(
        mut self,
        trial: &Trial,
        teachers: &Teachers,
        stage: Stage,
        run: Option<&Path>,
    ) -> Result<Self, PrepareError> {
        let stage = stage.name();
        let opened = teachers.open(trial, stage, &self.data, run)?;
        self.teachers.extend(opened.map(|opened| (stage, opened)));
        let mut teaching = trial.experiment.teachers().filter(|(taught, _)| *taught == stage);
        if teaching.any(|(_, written)| written.features().is_some()) {
            self.patch_axes = Some(Known::default().patch_axes(trial, stage, &self)?);
        }
        Ok(self)
    }

    /// What teaches `stage`, whose network is `dense` before `plan` cuts it; without a plan, it is not cut.
    ///
    /// # Errors
    ///
    /// When the network of another run or program that does was not opened.
    pub(crate) fn teacher(
        &self,
        stage: Stage,
        dense: &A,
        plan: Option<&Plan>,
    ) -> Result<Option<Teacher>, RunError> {
        let mut teachers = self.experiment.teachers().filter(|(taught, _)| *taught == stage.name());
        Ok(match teachers.next() {
            None => None,
            Some((stage, Written::Dense { kind, features })) => {
                let teacher = Teacher::new(heads_by_size(dense), *kind);
                let Some(weight) = features else { return Ok(Some(teacher)) };
                let axes = self.patch_axes.as_ref().ok_or(RunError::Unopened(stage))?;
                let kept = plan.map_or([None; 2], |plan| axes.kept(plan));
                // Where no patch is left, there is nothing to compare.
                match kept.into_iter().flatten().any(<[usize]>::is_empty) {
                    true => Some(teacher),
                    false => Some(teacher.comparing(weight.get(), kept)),
                }
            }
            Some((stage, Written::Teacher { .. })) => {
                let opened = self.teachers.get(stage).ok_or(RunError::Unopened(stage))?;
                Some(opened.of_images(&self.data.normalisation))
            }
        })
    }

    /// The note on features of the dense network that a sub-network with this `label` is to learn, where `plan` leaves none of them.
    pub(super) fn features_note(&self, label: &str, plan: &Plan) -> Option<String> {
        let mut teachers = self.experiment.teachers().filter(|(taught, _)| *taught == Stage::Retrain.name());
        let (_, written) = teachers.next()?;
        let is_empty = |axes: &PatchAxes| axes.kept(plan).into_iter().flatten().any(<[usize]>::is_empty);
        (written.features().is_some() && self.patch_axes.as_ref().is_some_and(is_empty)).then(|| {
            format!("{label} keeps no patch, or no feature of them: its teacher's `features` are left out")
        })
    }

    /// The files of the teachers that runs left, by their names in the folder of this run; `None` where a stage has none.
    pub(super) fn teacher_files(&self) -> impl Iterator<Item = (String, Option<&[u8]>)> {
        let stages = [Stage::Pretrain, Stage::Search, Stage::Retrain].map(Stage::name).into_iter();
        let left =
            |stage| self.teachers.get(stage).and_then(|teacher: &OpenedTeacher| teacher.pretrained.left());
        stages.map(move |stage| (teacher_file(stage), left(stage).map(|left| &left.file[..])))
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::Tensor;
    use vitslim_macros::Slimmable;

    use super::*;
    use crate::experiment::Document;
    use crate::models::{ConfigError, Features, Logits, Vit, VitConfig};

    /// A ViT with a flaw in its features.
    #[derive(Module, Debug, Slimmable)]
    struct Flawed<const FLAW: u8> {
        #[slim]
        vit: Vit,
    }

    const NO_FEATURES: u8 = 0;
    const OF_OTHER_IMAGES: u8 = 1;
    const READ_BY_NOTHING: u8 = 2;

    impl<const FLAW: u8> Architecture for Flawed<FLAW> {
        type Config = VitConfig;

        fn presets() -> Vec<(&'static str, VitConfig)> {
            Vec::new()
        }

        fn init(config: &VitConfig, device: &Device) -> Result<Self, ConfigError> {
            Ok(Self { vit: Vit::init(config, device)? })
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            self.vit.forward(images)
        }

        fn features(&self, images: Tensor<4>) -> Features {
            match FLAW {
                NO_FEATURES => self.forward(images).into(),
                OF_OTHER_IMAGES => self.vit.features(images * 2.0),
                // Its head is `vit.head`.
                _ => self.vit.features(images),
            }
        }
    }

    fn prepared<A: Architecture>() -> Result<Prepared<A>, PrepareError> {
        let text = "Experiment(name: \"a\", model: (architecture: \"other\", config: (patch_size: 4, dim: 8, depth: 1, heads: 2)), \
             data: Digits, pretrain: (epochs: 1, optimizer: AdamW(lr: 1e-3)), search: (epochs: 1, optimizer: AdamW(lr: 1e-3), \
             dimensions: { \"hidden\": (weight: 0) }), budgets: [Share({ \"hidden\": 0.5 })], \
             retrain: (epochs: 1, optimizer: AdamW(lr: 1e-3), teacher: Dense(features: 0.5)))";
        let trial = Document::parse("a.ron", text, &[]).unwrap().trial().unwrap();
        Prepared::<A>::new(&trial)?.with_teachers(&trial, &Teachers::default(), &mut Known::default())
    }

    #[test]
    fn a_sub_network_that_keeps_no_patch_is_told_that_it_learns_no_features() {
        let prepared = prepared::<Vit>().unwrap();
        let mut plan = Plan::whole(&prepared.dimensions);
        assert_eq!(prepared.features_note("share-0.5", &plan), None);
        plan.get_mut("blocks.0.tokens").unwrap().keep = Vec::new();
        let note = prepared.features_note("share-0.5", &plan).unwrap();
        assert!(note.starts_with("share-0.5 keeps no patch"), "{note}");
    }

    #[test]
    fn features_that_cannot_be_compared_are_refused_before_anything_is_trained() {
        fn told<A: Architecture>() -> String {
            prepared::<A>().err().map_or_else(String::new, |error| error.to_string())
        }
        assert_eq!(told::<Vit>(), "");
        for (told, expected) in [
            (told::<Flawed<NO_FEATURES>>(), "offers no features"),
            (told::<Flawed<OF_OTHER_IMAGES>>(), "has other logits with its features than without"),
            (
                told::<Flawed<READ_BY_NOTHING>>(),
                "has features that `head` reads, which is none of its layers",
            ),
        ] {
            assert!(told.ends_with(expected), "{told}");
        }
    }
}
