//! What teaches the stages of a run.

use super::error::RunError;
use super::folder::teacher_file;
use super::prepare::{Known, PrepareError, Prepared};
use super::teacher::{OpenedTeacher, Teachers};
use crate::data::{Dataset, Stage};
use crate::experiment::{ExperimentErrors, Teacher as Written, Trial};
use crate::models::Architecture;
use crate::slim::heads_by_size;
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
        for (stage, _) in trial.experiment.teachers() {
            let opened = known.teacher(trial, teachers, stage, &self.data)?;
            self.teachers.extend(opened.map(|opened| (stage, opened)));
        }
        Ok(self)
    }

    /// What teaches `stage`, whose network is `dense` before it is cut.
    ///
    /// # Errors
    ///
    /// When the network of another run or program that does was not opened.
    pub(super) fn teacher(&self, stage: Stage, dense: &A) -> Result<Option<Teacher>, RunError> {
        let mut teachers = self.experiment.teachers().filter(|(taught, _)| *taught == stage.name());
        Ok(match teachers.next() {
            None => None,
            Some((_, Written::Dense { kind })) => Some(Teacher::new(heads_by_size(dense), *kind)),
            Some((stage, Written::Teacher { .. })) => {
                let opened = self.teachers.get(stage).ok_or(RunError::Unopened(stage))?;
                Some(opened.of_images(&self.data.normalisation))
            }
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
