//! The trials of an experiment: one for each combination of what it sweeps.

use std::collections::HashMap;

use sha2::{Digest, Sha256};

use super::document::Document;
use super::fault::{Fault, Faults};
use super::schema::Experiment;
use super::sweep::{self, Sweeps};
use super::tree::{Node, Value};

/// Mistakes after which no other trials are looked at. All trials of a sweep may have one each.
const ENOUGH: usize = 20;

/// The trials of an experiment, all of them checked. The value that is written first changes last.
#[derive(Clone, Debug)]
pub struct Trials {
    document: Document,
    sweeps: Sweeps,
}

impl Trials {
    /// The trials of `document`. If there are mistakes, `further` tells more of each trial.
    pub(super) fn of(
        document: &Document,
        mut further: impl FnMut(&Document) -> Result<(), Faults>,
    ) -> Result<Self, Faults> {
        let sweeps =
            Sweeps::find(document.root()).map_err(|faults| beside(faults, document, &mut further))?;
        let trials = Self { document: document.clone(), sweeps };
        let mut told = Told::default();
        match trials.check() {
            Ok(()) => return Ok(trials),
            Err(faults) => told.add(&faults),
        }
        if let Err(faults) = trials.each(&mut further, |faults| Some(faults)) {
            told.add(&faults);
        }
        Faults::check(told.0).map(|()| trials)
    }

    /// How many.
    #[expect(clippy::len_without_is_empty, reason = "there is always one")]
    pub fn len(&self) -> usize {
        self.sweeps.trials()
    }

    /// Whether anything is swept.
    pub fn is_sweep(&self) -> bool {
        !self.sweeps.is_empty()
    }

    /// Trial number `index`, which is less than [`Trials::len`].
    pub fn get(&self, index: usize) -> Document {
        if !self.is_sweep() {
            return self.document.clone();
        }
        let root = self.sweeps.trial(self.document.root(), index);
        let name = self.sweeps.name(index, &seed(&root));
        Document::of_tree(root).as_trial(&name)
    }

    /// Each trial.
    pub fn iter(&self) -> impl Iterator<Item = Document> {
        (0..self.len()).map(|index| self.get(index))
    }

    /// Name of the experiment.
    pub fn name(&self) -> &str {
        match self.document.at(&["name"]) {
            Some(Node { value: Value::String(name), .. }) => name,
            _ => "",
        }
    }

    /// What `work` makes of each trial.
    ///
    /// # Errors
    ///
    /// The mistakes of all trials, if `faults` finds any in their errors, each told once; else the first error.
    pub fn each<T, E: From<Faults>>(
        &self,
        mut work: impl FnMut(&Document) -> Result<T, E>,
        faults: impl Fn(&E) -> Option<&Faults>,
    ) -> Result<Vec<T>, E> {
        let mut done = Vec::new();
        let mut told = Told::default();
        for trial in self.iter() {
            match work(&trial) {
                Ok(of_trial) => done.push(of_trial),
                Err(error) => match faults(&error) {
                    Some(faults) => told.add(faults),
                    None => return Err(error),
                },
            }
            if told.is_enough() {
                break;
            }
        }
        Faults::check(told.0)?;
        Ok(done)
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
    pub fn only(&self) -> Result<Document, Faults> {
        match self.len() {
            1 => Ok(self.get(0)),
            _ => Err(self.sweeps.several().into()),
        }
    }

    fn check(&self) -> Result<(), Faults> {
        let mut experiments: HashMap<Key, usize> = HashMap::new();
        let mut names: HashMap<String, usize> = HashMap::new();
        let mut index = 0..;
        let check = |trial: &Document| -> Result<(), Faults> {
            let index = index.next().unwrap_or_default();
            let experiment = trial.experiment()?;
            let name = trial.trial().unwrap_or_default();
            let same = experiments.insert(key(&experiment), index);
            // There are file systems on which large and small letters are the same.
            let called_same = names.insert(name.to_lowercase(), index);
            let difference = |earlier: Option<usize>| self.sweeps.difference(earlier?, index);
            if let Some((first, again)) = difference(same) {
                let message = format!("`{}` is the same trial twice", again.text());
                let fault = Fault::new(again, message).with_label("again here");
                return Err(fault.with_also(first, "first here").into());
            }
            if let Some((first, again)) = difference(called_same) {
                let message = format!("two trials would be called `{name}`");
                let fault = Fault::new(again, message).with_label("the one with this value");
                return Err(fault
                    .with_also(first, "and the one with this")
                    .with_help("a trial is called by its values: leave one of the two out, or run it by a file of its own")
                    .into());
            }
            Ok(())
        };
        self.each(check, |faults| Some(faults)).map(drop)
    }
}

/// The mistakes in the sweeps of `document`, and beside them those of what would be a trial without.
fn beside(
    in_sweeps: Faults,
    document: &Document,
    further: &mut impl FnMut(&Document) -> Result<(), Faults>,
) -> Faults {
    let trial = Document::of_tree(sweep::first_values(document.root()));
    let mut still = Vec::new();
    trial.root().walk(&mut |node| still.extend(sweep::is_sweep(node).then(|| node.head())));
    let mut told = Told::default();
    told.add(&in_sweeps);
    for faults in [trial.experiment().err(), further(&trial).err()].into_iter().flatten() {
        let others = faults.into_iter().filter(|fault| !still.contains(fault.span()));
        if let Some(others) = Faults::collect(others) {
            told.add(&others);
        }
    }
    Faults::collect(told.0).unwrap_or(in_sweeps)
}

/// Mistakes of several trials, each once.
#[derive(Default)]
struct Told(Vec<Fault>);

impl Told {
    fn add(&mut self, faults: &Faults) {
        for fault in faults.iter() {
            if !self.0.iter().any(|earlier| earlier.is_same(fault)) {
                self.0.push(fault.clone());
            }
        }
    }

    fn is_enough(&self) -> bool {
        self.0.len() >= ENOUGH
    }
}

/// By which the same experiment is known, however it is written: a hash, as the texts of all trials together may be large.
type Key = [u8; 32];

fn key(experiment: &Experiment) -> Key {
    let text = ron::to_string(experiment).unwrap_or_else(|_| format!("{experiment:?}"));
    Sha256::digest(text).into()
}

/// The seed of a trial as a part of its name.
fn seed(root: &Node) -> String {
    match root.at(&["seed"]) {
        Some(Node { value: Value::Number(seed), .. }) => super::number::canonical(seed),
        _ => "0".to_owned(),
    }
}
