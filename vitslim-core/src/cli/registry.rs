use crate::experiment::{Document, Faults, nearest};
use crate::models::{Architecture, Vit};
use crate::report::Summary;
use crate::run::{Prepared, RunError, RunFolder, Setting, execute};
use crate::terminal::say;

/// The architectures that experiments may name.
#[derive(Default)]
pub struct Registry {
    entries: Vec<(&'static str, Runner)>,
}

/// Checks and runs the experiment of one architecture.
type Runner = fn(&Document, &Setting) -> Result<(RunFolder, Summary), RunError>;

impl Registry {
    /// The architectures that come with vitslim.
    pub fn builtin() -> Self {
        Self::default().with::<Vit>("vit")
    }

    /// Adds an architecture under the name by which experiments call it; an earlier one of that name is replaced.
    pub fn with<A: Architecture>(mut self, name: &'static str) -> Self {
        self.entries.retain(|(known, _)| *known != name);
        self.entries.push((name, run::<A>));
        self
    }

    /// Names of the architectures.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.entries.iter().map(|(name, _)| *name)
    }

    /// What runs the architecture that `document` names.
    pub(super) fn runner(&self, document: &Document) -> Result<Runner, Faults> {
        let experiment = document.experiment()?;
        let wanted = experiment.model.architecture;
        if let Some((_, runner)) = self.entries.iter().find(|(name, _)| *name == wanted) {
            return Ok(*runner);
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
