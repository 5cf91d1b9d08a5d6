use crate::bench::{BenchSetting, Benched, Source, networks};
use crate::check::{check_experiment, listed};
use crate::experiment::{Document, Faults, nearest};
use crate::models::{Architecture, ConvNext, DistilledVit, Swin, Vit};
use crate::report::{Evaluation, ExperimentCheck, ListedArchitecture, Summary};
use crate::run::{EvaluationSetting, Prepared, RunError, RunFolder, Setting, Target, evaluate, execute};
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
    /// Checks and runs it.
    pub run: Runner,
    /// Evaluates a network of its run.
    pub eval: fn(&Document, &Target, &EvaluationSetting) -> Result<Evaluation, RunError>,
    /// Makes the networks of it, or of its run, that are to be measured.
    pub bench: fn(&Document, &Source, &BenchSetting) -> Result<Benched, RunError>,
    /// What is told of the architecture by itself.
    listed: fn(&str) -> ListedArchitecture,
}

type Runner = fn(&Document, &Setting) -> Result<(RunFolder, Summary), RunError>;

impl Commands {
    fn of<A: Architecture>() -> Self {
        Self {
            check: check_experiment::<A>,
            run: run::<A>,
            eval: evaluate::<A>,
            bench: networks::<A>,
            listed: listed::<A>,
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

    /// What the commands do with the architecture that `document` names.
    pub(super) fn commands(&self, document: &Document) -> Result<Commands, Faults> {
        let experiment = document.experiment()?;
        let wanted = experiment.model.architecture;
        if let Some((_, commands)) = self.entries.iter().find(|(name, _)| *name == wanted) {
            return Ok(*commands);
        }
        let hint = nearest(&wanted, self.names());
        let hint = hint.map_or_else(String::new, |near| format!("; did you mean `{near}`?"));
        let names: Vec<_> = self.names().collect();
        let help = format!("architectures: {}", names.join(", "));
        let message = format!("unknown architecture `{wanted}`{hint}");
        Err(document.fault(&["model", "architecture"], message, Some(help)))
    }
}

fn run<A: Architecture>(document: &Document, setting: &Setting) -> Result<(RunFolder, Summary), RunError> {
    let prepared = Prepared::<A>::new(document)?;
    for note in &prepared.data.notes {
        say(format_args!("data: {note}"));
    }
    execute(&prepared, setting)
}
