use schemars::Schema;

use crate::bench::{BenchSetting, Benched, Source, networks};
use crate::check::{check_experiment, listed};
use crate::experiment::{Data, Document, Faults, Node, Trials, Value, did_you_mean};
use crate::models::{Architecture, ConvNext, DistilledVit, Swin, Vit};
use crate::plan::{Planning, plan};
use crate::reference::{config_schema, starter};
use crate::report::{Evaluation, ExperimentCheck, ListedArchitecture, PlannedTrial, Summary};
use crate::run::{
    EvaluationSetting, Known, PrepareError, Prepared, RunError, RunFolder, Setting, Target, evaluate, execute,
};
use crate::terminal::say;

/// The architectures that experiments may name.
#[derive(Default)]
pub struct Registry {
    entries: Vec<(&'static str, Commands)>,
}

/// What the commands do with an experiment of one architecture.
#[derive(Clone, Copy)]
pub(super) struct Commands {
    /// Checks it and its architecture.
    pub check: fn(&Document) -> Result<ExperimentCheck, Faults>,
    /// Finds all that is wrong with it, short of the annotations of its architecture.
    mistakes: fn(&Document, &mut Known) -> Result<(), Faults>,
    /// Tells what a run of it will be.
    pub plan: fn(&Document, &mut Planning) -> Result<PlannedTrial, RunError>,
    /// Writes it with every default spelled out.
    pub resolved: fn(&Document) -> Result<String, PrepareError>,
    /// Checks and runs it.
    pub run: Runner,
    /// Evaluates a network of its run.
    pub eval: fn(&Document, &Target, &EvaluationSetting) -> Result<Evaluation, RunError>,
    /// Makes the networks of it, or of its run, that are to be measured.
    pub bench: fn(&Document, &Source, &BenchSetting) -> Result<Benched, RunError>,
    /// What is told of the architecture by itself.
    listed: fn(&str) -> ListedArchitecture,
    /// What may be written as its configuration.
    config_schema: fn() -> Schema,
}

type Runner = fn(&Document, &Setting) -> Result<(RunFolder, Summary), RunError>;

impl Commands {
    fn of<A: Architecture>() -> Self {
        Self {
            check: check_experiment::<A>,
            mistakes: Prepared::<A>::mistakes,
            plan: plan::<A>,
            resolved: |document| Prepared::<A>::new(document)?.resolved(),
            run: run::<A>,
            eval: evaluate::<A>,
            bench: networks::<A>,
            listed: listed::<A>,
            config_schema: config_schema::<A::Config>,
        }
    }
}

impl Registry {
    /// The architectures that come with vitslim.
    pub fn builtin() -> Self {
        Self::default()
            .with::<Vit>("vit")
            .with::<DistilledVit>("deit_distilled")
            .with::<Swin>("swin")
            .with::<ConvNext>("convnext")
    }

    /// Adds an architecture under the name by which experiments call it; an earlier one of that name is replaced.
    pub fn with<A: Architecture>(mut self, name: &'static str) -> Self {
        self.entries.retain(|(known, _)| *known != name);
        self.entries.push((name, Commands::of::<A>()));
        self
    }

    /// Names of the architectures.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|(name, _)| *name)
    }

    /// What is told of each architecture.
    pub(super) fn listed(&self) -> Vec<ListedArchitecture> {
        self.entries.iter().map(|(name, commands)| (commands.listed)(name)).collect()
    }

    /// The text of an experiment called `name` to start from; `None` if there is no such architecture.
    pub(super) fn starter(&self, name: &str, architecture: &str) -> Option<String> {
        let (known, commands) = self.entries.iter().find(|(known, _)| *known == architecture)?;
        Some(starter(name, &(commands.listed)(known), &(commands.config_schema)()))
    }

    /// What may be written as the configuration of each architecture.
    pub(super) fn config_schemas(&self) -> Vec<(&'static str, Schema)> {
        self.entries.iter().map(|(name, commands)| (*name, (commands.config_schema)())).collect()
    }

    /// The trials of `document`, each of an architecture that is known.
    ///
    /// # Errors
    ///
    /// What is wrong with them; then also what is wrong with their data and networks.
    pub(super) fn trials(&self, document: &Document) -> Result<Trials, Faults> {
        let mut known = Known::hasty();
        let trials = document.trials_with(|trial| self.mistakes(trial, &mut known))?;
        // Of the former nothing more can be asked, and the latter are long to read.
        let first = |trial: Document| self.commands(&trial).is_err() || is_decoded(&trial);
        if trials.iter().any(first) {
            trials.each(|trial| self.mistakes(trial, &mut known), |faults| Some(faults))?;
        }
        Ok(trials)
    }

    /// What the commands do with the architecture that `document` names.
    pub(super) fn commands(&self, document: &Document) -> Result<Commands, Faults> {
        let path = ["model", "architecture"];
        let Some(Node { value: Value::String(wanted), .. }) = document.at(&path) else {
            document.experiment()?;
            return Err(document.fault(&path, "expected the name of an architecture", None));
        };
        if let Some((_, commands)) = self.entries.iter().find(|(name, _)| name == wanted) {
            return Ok(*commands);
        }
        let hint = did_you_mean(wanted, self.names());
        let names: Vec<_> = self.names().collect();
        let help = format!("architectures: {}", names.join(", "));
        Err(document.fault(&path, format!("unknown architecture `{wanted}`{hint}"), Some(help)))
    }

    /// All that is wrong with `document`, short of the annotations of its architecture.
    fn mistakes(&self, document: &Document, known: &mut Known) -> Result<(), Faults> {
        match self.commands(document) {
            Ok(commands) => (commands.mistakes)(document, known),
            Err(faults) => {
                let mut found = faults.into_iter().collect();
                known.data(document, &mut found);
                document.experiment_with(found).map(drop)
            }
        }
    }
}

/// Whether its data take long to read.
fn is_decoded(trial: &Document) -> bool {
    trial.part::<Data>(&["data"]).is_some_and(|data| data.is_decoded())
}

fn run<A: Architecture>(document: &Document, setting: &Setting) -> Result<(RunFolder, Summary), RunError> {
    let prepared = Prepared::<A>::new(document)?;
    for note in &prepared.data.notes {
        say(format_args!("data: {note}"));
    }
    execute(&prepared, setting)
}
