//! The trials of an experiment: one for each combination of what it sweeps.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::de::{Reading, read};
use super::document::Document;
use super::error::{ExperimentError, ExperimentErrors};
use super::rules;
use super::schema::Experiment;
use super::sweep::{self, Sweeps};

/// An experiment that sweeps nothing, as written and as what it says.
#[derive(Clone, Debug)]
pub struct Trial {
    /// As written: a mistake that shows later is told at its place in it.
    pub document: Document,
    /// What it says.
    pub experiment: Experiment,
    /// Its name among the trials of a sweep; `None` where nothing is swept.
    pub swept: Option<String>,
}

impl Trial {
    /// This trial, as the one called `name` of a sweep.
    #[must_use]
    pub fn named(self, name: &str) -> Self {
        Self { swept: Some(name.to_owned()), ..self }
    }
}

impl Document {
    /// The trials of the experiment: one, if nothing in it is swept.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file. The model's configuration is not looked at: what it may be, only the architecture knows.
    pub fn trials(&self) -> Result<Trials, ExperimentErrors> {
        Trials::new(self, |_| Vec::new())
    }

    /// The one trial of an experiment that sweeps nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Document::trials`], and when there are several.
    pub fn trial(&self) -> Result<Trial, ExperimentErrors> {
        self.trials()?.only()
    }

    /// The typed experiment, if it sweeps nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Document::trial`].
    pub fn experiment(&self) -> Result<Experiment, ExperimentErrors> {
        Ok(self.trial()?.experiment)
    }
}

/// The trials of an experiment, all of them right as far as the file tells. The value that is written first changes last.
#[derive(Clone, Debug)]
pub struct Trials {
    document: Document,
    sweeps: Sweeps,
    /// That of each trial. Their documents are made when they are asked for: together they may be large.
    experiments: Vec<Experiment>,
}

impl Trials {
    /// The trials of `document`. `model` finds what is wrong with the model of one.
    ///
    /// # Errors
    ///
    /// All that is wrong with the file.
    pub(crate) fn new(
        document: &Document,
        model: impl Fn(&Document) -> Vec<ExperimentError>,
    ) -> Result<Self, ExperimentErrors> {
        let read = |trial: &Document| {
            let Reading { value, mut errors } = read::<Experiment>(trial.root());
            errors.extend(rules::broken(trial));
            errors.extend(model(trial));
            Reading { value, errors }
        };
        let root = document.root();
        let sweeps = Sweeps::find(root).map_err(|errors| {
            // Beside them is told what else is wrong, with the first value of each sweep that has one.
            let others = read(&Document::of_tree(sweep::first_values(root))).errors;
            errors.and(others.into_iter().filter(|error| !sweep::is_word(error.span().text())))
        })?;
        let mut same = HashMap::new();
        let mut called_same = HashMap::new();
        let experiments = ExperimentErrors::gather((0..sweeps.trials()).map(|index| {
            let trial = Document::of_tree(sweeps.trial(root, index));
            let Reading { value, errors } = read(&trial);
            ExperimentErrors::check(errors)?;
            let experiment = value.ok_or_else(|| trial.error(&[], "this experiment cannot be read", None))?;
            if let Some(earlier) = same.insert(key(&experiment), index) {
                return Err(sweeps.same(earlier, index).into());
            }
            let name = sweeps.name(index, experiment.seed);
            // On some file systems large and small letters are the same.
            if let Some(earlier) = called_same.insert(name.to_lowercase(), index) {
                return Err(sweeps.called_same(earlier, index, &name).into());
            }
            Ok(experiment)
        }))?;
        Ok(Self { document: document.clone(), sweeps, experiments })
    }

    /// Number of trials.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.experiments.len()
    }

    /// Whether anything is swept.
    pub fn is_sweep(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// Trial number `index`, which is less than [`Trials::len`].
    pub fn get(&self, index: usize) -> Trial {
        let experiment = self.experiments[index].clone();
        let swept = self.is_sweep().then(|| self.sweeps.name(index, experiment.seed));
        Trial {
            document: Document::of_tree(self.sweeps.trial(self.document.root(), index)),
            experiment,
            swept,
        }
    }

    /// Each trial.
    pub fn iter(&self) -> impl Iterator<Item = Trial> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Name of the experiment.
    pub fn name(&self) -> &str {
        self.experiments[0].name.as_str()
    }

    /// What `work` makes of each trial.
    ///
    /// # Errors
    ///
    /// The mistakes of all trials, if `errors` finds any in their errors; else the first error.
    pub fn each<T, E: From<ExperimentErrors>>(
        &self,
        mut work: impl FnMut(&Trial) -> Result<T, E>,
        errors: impl Fn(&E) -> Option<&ExperimentErrors>,
    ) -> Result<Vec<T>, E> {
        let mut other = None;
        let done = ExperimentErrors::gather(self.iter().map_while(|trial| match work(&trial) {
            Ok(done) => Some(Ok(done)),
            Err(error) => match errors(&error) {
                Some(errors) => Some(Err(errors.clone())),
                None => {
                    other = Some(error);
                    None
                }
            },
        }));
        match other {
            Some(error) => Err(error),
            None => Ok(done?),
        }
    }

    /// What differs in trial number `index`: names and values, in the order written.
    pub fn differing(&self, index: usize) -> Vec<(&str, String)> {
        let differing = self.sweeps.differing(index).into_iter();
        differing.map(|(name, value)| (name, value.to_string())).collect()
    }

    /// The one trial, for a command that takes no sweep.
    ///
    /// # Errors
    ///
    /// When there are several, at the first sweep.
    pub fn only(&self) -> Result<Trial, ExperimentErrors> {
        match self.len() {
            1 => Ok(self.get(0)),
            _ => Err(self.sweeps.several().into()),
        }
    }
}

/// By which the same experiment is known, however it is written: a hash, as the texts of all trials together may be large.
fn key(experiment: &Experiment) -> [u8; 32] {
    let text = ron::to_string(experiment).unwrap_or_else(|_| format!("{experiment:?}"));
    Sha256::digest(text).into()
}
