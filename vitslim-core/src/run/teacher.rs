//! The networks that teach stages, opened and checked before anything is trained.

use std::path::Path;

use burn::tensor::{Device, Int, Tensor};

use super::config::{config, config_error, facts};
use super::dataset::normalisation;
use super::floats::as_computed;
use super::folder::teacher_file;
use super::initial::initial_of;
use super::pretrained::{LeftNetwork, Pretrained, pretrained_error};
use super::sources::Sources;
use super::target::Target;
use crate::data::{Dataset, Normalisation};
use crate::experiment::{
    Document, Experiment, ExperimentErrors, Model, Teacher as Written, Trial, did_you_mean,
};
use crate::graph::{GraphError, Recording, TrainingSetting, macs_and_classes};
use crate::models::{Architecture, Parameter};
use crate::panics::attempt;
use crate::slim::heads_by_size;
use crate::terminal::counted;
use crate::train::Teacher;

/// Multiply-adds to spend on the accuracy of a teacher.
const MACS_OF_TOP1: u64 = 60_000_000_000;

/// Least images that an accuracy says something on.
const LEAST_IMAGES: usize = 10;

/// The architectures that a teacher can have, by the names that experiments use.
#[derive(Clone, Debug, Default)]
pub struct Teachers(Vec<(&'static str, Opener)>);

/// Opens a teacher of one architecture.
pub(crate) type Opener = fn(&Asked) -> Result<OpenedTeacher, ExperimentErrors>;

/// A teacher that an experiment asks for.
pub(crate) struct Asked<'a> {
    trial: &'a Trial,
    written: &'a Written,
    /// Of the teacher alone, as the model of an experiment.
    document: Document,
    model: Model,
    data: &'a Dataset,
    /// The stage that it teaches, and the folder of its run, which may have a copy.
    taught: Option<(&'static str, &'a Path)>,
}

/// The network that teaches a stage.
#[derive(Clone, Debug)]
pub struct OpenedTeacher {
    /// It takes its own images.
    teacher: Teacher,
    /// How these are normalised; `None` if as the data.
    normalisation: Option<Normalisation>,
    /// Name of its architecture.
    pub architecture: String,
    /// Number of parameters.
    pub params: usize,
    /// Multiply-adds for one image.
    pub macs: u64,
    /// All that its predictions depend on.
    pub(super) identity: String,
    /// What the user should know of it, one line each.
    pub notes: Vec<String>,
    /// Where its weights are from.
    pub pretrained: Pretrained,
}

impl Teachers {
    /// Of these architectures.
    pub(crate) fn new(architectures: impl IntoIterator<Item = (&'static str, Opener)>) -> Self {
        Self(architectures.into_iter().collect())
    }

    /// The network that teaches `stage` of `trial`, whose `data` it must fit; `None` if none does, or the dense one. The folder `run` may
    /// have a copy of one that is gone.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or does not fit the data.
    pub(crate) fn open(
        &self,
        trial: &Trial,
        stage: &'static str,
        data: &Dataset,
        run: Option<&Path>,
    ) -> Result<Option<OpenedTeacher>, ExperimentErrors> {
        let written = trial.experiment.teachers().find(|(taught, _)| *taught == stage);
        let Some((_, written @ Written::Teacher { pretrained, architecture, .. })) = written else {
            return Ok(None);
        };
        let Some(document) = trial.document.of_teacher(stage) else { return Ok(None) };
        let is_gone = !pretrained.is_file() && Target::find(pretrained).is_err();
        let copy = run.map(|run| run.join(teacher_file(stage))).filter(|copy| is_gone && copy.is_file());
        let source = copy.as_ref().unwrap_or(pretrained);
        let known =
            || Pretrained::architecture_of(source).map_err(|error| pretrained_error(&document, &error));
        let name = match architecture {
            Some(written) => written.clone(),
            None => known()?.ok_or_else(|| {
                let message = format!("`{}` does not say what network its weights are of", source.display());
                let help = "write the `architecture` of the teacher, and its `preset` or `config`";
                document.error(&["model", "pretrained"], message, Some(help.to_owned()))
            })?,
        };
        let Some((_, open)) = self.0.iter().find(|(known, _)| *known == name) else {
            let names: Vec<&str> = self.0.iter().map(|(name, _)| *name).collect();
            let message =
                format!("unknown architecture `{name}`{}", did_you_mean(&name, names.iter().copied()));
            let help = format!("architectures: {}", names.join(", "));
            return Err(document.error(&["model", "architecture"], message, Some(help)));
        };
        let Some(model) = written.model(&name) else { return Ok(None) };
        open(&Asked { trial, written, document, model, data, taught: run.map(|run| (stage, run)) }).map(Some)
    }
}

/// Opens the teacher that is `asked` for, of the architecture `A`.
///
/// # Errors
///
/// When it cannot be read, or does not fit the data.
pub(crate) fn open_teacher<A: Architecture>(asked: &Asked) -> Result<OpenedTeacher, ExperimentErrors> {
    let Asked { trial, written, document, model, data, .. } = asked;
    let wrong = |message: String, help: Option<&str>| {
        document.error(&["model", "pretrained"], message, help.map(str::to_owned))
    };
    let unfit = |error: &dyn miette::Diagnostic| pretrained_error(document, error);
    let pretrained = asked.open::<A>()?;
    let left = pretrained.left();
    left.map_or(Ok(()), |left| asked.check_images_and_classes(left))?;

    let unreadable = || wrong("this teacher cannot be read".to_owned(), None);
    let config = config::<A>(document, &facts(data), left)?.ok_or_else(unreadable)?;
    // What the file may lack is the same for all students.
    let of_no_seed = Experiment { seed: 0, ..trial.experiment.clone() };
    let made = attempt(|| initial_of::<A>(&of_no_seed, &config, &Device::flex()))
        .map_err(|said| wrong(format!("the network cannot be made ({said})"), None))?
        .map_err(|error| config_error(document, error))?;
    let (cut, _) = pretrained.cut(made.valid()).map_err(|error| unfit(&error))?;
    let (network, mut notes) = pretrained.classifier(cut, data.classes).map_err(|error| unfit(&error))?;
    let network = heads_by_size(&as_computed(network));
    let (macs, classes) =
        macs_and_classes(&network, data.shape).map_err(|error| wrong(error.to_string(), None))?;
    if classes != data.classes {
        let message = format!(
            "the teacher has {}, and the data have {}",
            counted(classes, "class", "classes"),
            data.classes
        );
        return Err(wrong(message, Some(OF_THE_CLASSES)));
    }
    let normalisation = asked.normalisation(left)?;
    notes.extend(left.map_or_else(Vec::new, |left| asked.notes(left)));
    notes.extend(normalisation.is_none().then(|| AS_THE_DATA.to_owned()));

    let written_config = ron::to_string(&config)
        .map_err(|error| wrong(format!("cannot be told from others: {error}"), None))?;
    let sha256 = &pretrained.sha256;
    Ok(OpenedTeacher {
        identity: format!("{} {written_config} {normalisation:?} {sha256}", model.architecture),
        architecture: model.architecture.clone(),
        params: Parameter::count(&network),
        macs,
        notes,
        teacher: Teacher::new(network, written.kind()),
        normalisation,
        pretrained,
    })
}

/// What is told of a file of weights, of which nothing says how its images were normalised.
const AS_THE_DATA: &str = "its images are normalised as the data are: `normalise` in `teacher` changes that";

/// What to do about a teacher of other classes.
const OF_THE_CLASSES: &str = "take a teacher that was trained on the classes of the data";

impl Asked<'_> {
    /// Its weights, or the copy that the run has of a network that another left.
    fn open<A: Architecture>(&self) -> Result<Pretrained, ExperimentErrors> {
        let opened = Pretrained::open::<A>(&self.model);
        let opened = opened.map_err(|error| pretrained_error(&self.document, &error));
        let found = match (opened, self.taught) {
            (Err(error), Some((stage, run))) => {
                let recorded = |sources: &Sources| sources.teachers.get(stage).cloned();
                let copy = Pretrained::copy_in(run, &teacher_file(stage), &self.model, recorded);
                let copy = copy.map_err(|error| pretrained_error(&self.document, &error))?;
                Some(copy.ok_or(error)?)
            }
            (opened, _) => opened?,
        };
        found.ok_or_else(|| self.document.error(&["model"], "this teacher names no weights", None))
    }

    /// Checks that the network that a run `left` takes such images, and knows the classes by the same labels.
    fn check_images_and_classes(&self, left: &LeftNetwork) -> Result<(), ExperimentErrors> {
        let Dataset { shape, class_names, .. } = self.data;
        let (channels, classes) = (left.images.channels, left.classes.len());
        let moved = left.classes.iter().enumerate().find_map(|(there, name)| {
            let here = class_names.iter().position(|known| known == name)?;
            (here != there).then_some((name, there, here))
        });
        let (message, help) = if channels != shape.channels {
            let there = counted(channels, "channel", "channels");
            (
                format!("the teacher takes images of {there}, and the data have {}", shape.channels),
                "take a teacher that was trained on such images",
            )
        } else if classes != class_names.len() {
            let there = counted(classes, "class", "classes");
            (format!("the teacher has {there}, and the data have {}", class_names.len()), OF_THE_CLASSES)
        } else if let Some((name, there, here)) = moved {
            (
                format!("class `{name}` is label {there} to the teacher, and label {here} in the data"),
                "give the classes the order that the teacher knows, with `classes: [...]` in `data`",
            )
        } else {
            return Ok(());
        };
        Err(self.document.error(&["model", "pretrained"], message, Some(help.to_owned())))
    }

    /// What a user should know of the network that a run `left`.
    fn notes(&self, left: &LeftNetwork) -> Vec<String> {
        let (size, here) = (left.images.size, self.data.shape.size);
        let resized = (size != here)
            .then(|| format!("it was trained on images of {size} x {size} pixels, and sees {here} x {here}"));
        let mut names = left.classes.iter().zip(&self.data.class_names).enumerate();
        let renamed = names.find(|(_, (there, here))| there != here).map(|(label, (there, here))| {
            format!("its classes have other names: label {label} is `{there}` there, and `{here}` here")
        });
        left.notes.iter().cloned().chain(resized).chain(renamed).collect()
    }

    /// How its images are normalised, which a run may have `left`; `None` if as the data.
    fn normalisation(&self, left: Option<&LeftNetwork>) -> Result<Option<Normalisation>, ExperimentErrors> {
        let Written::Teacher { normalise: Some(written), .. } = self.written else {
            return Ok(left.map(|left| left.images.normalisation()));
        };
        let Dataset { shape, normalisation: ours, .. } = self.data;
        normalisation(written, shape.channels, ours.white).map_err(|error| {
            let place = [&["model"], error.place()].concat();
            self.document.error(&place, error.to_string(), error.advice().map(str::to_owned))
        })
    }
}

impl OpenedTeacher {
    /// The teacher of a network on images that are normalised by `students`.
    pub(super) fn of_images(&self, students: &Normalisation) -> Teacher {
        let teacher = self.teacher.clone();
        match &self.normalisation {
            Some(own) => teacher.renormalising(students, own),
            None => teacher,
        }
    }

    /// Its forward pass, recorded.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded.
    pub(crate) fn record(&self, setting: TrainingSetting) -> Result<Recording, GraphError> {
        self.teacher.record(setting)
    }

    /// Its top-1 on validation images of `data`, and how many; `None` if that takes long, or they cannot be read.
    pub(crate) fn top1(&self, data: &Dataset) -> Option<(f64, usize)> {
        let images = data.held_out.len().min((MACS_OF_TOP1 / self.macs.max(1)) as usize);
        if images < LEAST_IMAGES.min(data.held_out.len()) {
            return None;
        }
        let (batch, labels) = data.held_out.first(images, &Device::flex()).ok()?;
        let right = attempt(|| {
            let logits = self.of_images(&data.normalisation).predict(&batch, Default::default());
            let answers: Tensor<1, Int> = logits.argmax(1).flatten(0, 1);
            answers.equal(labels).int().sum().into_scalar::<i64>()
        });
        Some((right.ok()? as f64 / images as f64, images))
    }
}
