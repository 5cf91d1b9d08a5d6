//! Sweeps: values that stand for several, so that one file is several trials.

mod draw;
mod label;
mod numbers;
mod values;

use std::collections::HashSet;

pub(crate) use self::label::shortened;
use self::label::{Labels, Swept};
use self::values::{WORDS, Written};
use super::error::{ExperimentError, ExperimentErrors};
use super::source::Span;
use super::tree::{Node, Value};
use crate::terminal::counted;

/// More trials than anybody waits for.
const MOST_TRIALS: usize = 10_000;

/// The sweeps of an experiment. Those of one name go in step, all others multiply out; the one written first changes last.
#[derive(Clone, Debug)]
pub(super) struct Sweeps {
    /// In the order in which they stand in the tree.
    sites: Vec<Site>,
    axes: Vec<Axis>,
    /// Of axes.
    labels: Labels,
    /// Of sites.
    places: Labels,
}

/// A sweep at its place.
#[derive(Clone, Debug)]
struct Site {
    path: Vec<String>,
    head: Span,
    written: Written,
}

/// Sweeps that go in step, as indices of sites.
#[derive(Clone, Debug)]
struct Axis {
    sites: Vec<usize>,
    /// The one whose values tell all trials apart, if any does.
    telling: Option<usize>,
}

impl Axis {
    /// The only sweep, or of those that go in step, the first in which no two values have one name. `None` if there is none, or if they are
    /// drawn: one then says nothing of the others.
    fn telling(&self, sites: &[Site]) -> Option<usize> {
        if let [only] = self.sites[..] {
            return Some(only);
        }
        let is_drawn = self.sites.iter().any(|&site| sites[site].written.is_drawn);
        let tells = |site: &usize| {
            let values = &sites[*site].written.values;
            values.iter().map(label::value).collect::<HashSet<_>>().len() == values.len()
        };
        self.sites.iter().copied().filter(|_| !is_drawn).find(tells)
    }
}

/// Whether a sweep stands here.
pub(super) fn is_sweep(node: &Node) -> bool {
    node.name().is_some_and(is_word)
}

/// Whether a sweep begins with `name`.
pub(super) fn is_word(name: &str) -> bool {
    WORDS.contains(&name)
}

/// The first sweep in `node`, if there is one.
pub(super) fn first(node: &Node) -> Option<&Node> {
    if is_sweep(node) { Some(node) } else { node.children().into_iter().find_map(first) }
}

/// `root` with the first value of each sweep in its place, except for sweeps that have none.
pub(super) fn first_values(root: &Node) -> Node {
    let mut root = root.clone();
    let first = |node: &Node| values::read(node, &[]).ok()?.values.into_iter().next();
    root.replace(&mut |node| if is_sweep(node) { first(node) } else { None });
    root
}

/// Where the sweeps in `node` stand: the paths to them, and their places.
pub(super) fn places(node: &Node) -> Vec<(Vec<String>, Span)> {
    let mut search = Search::default();
    search.visit(node);
    search.sites.into_iter().map(|site| (site.path, site.head)).collect()
}

impl Sweeps {
    /// The sweeps in `root`.
    ///
    /// # Errors
    ///
    /// When sweeps are written wrongly, stand in one another, or have one name and different numbers of values; and when there are too
    /// many trials.
    pub(super) fn find(root: &Node) -> Result<Self, ExperimentErrors> {
        let mut search = Search::default();
        search.visit(root);
        let Search { sites, mut errors, .. } = search;
        let mut axes = axes(&sites, &mut errors);
        ExperimentErrors::check(errors)?;
        axes.iter_mut().for_each(|axis| axis.telling = axis.telling(&sites));
        let trials = axes.iter().try_fold(1_usize, |trials, axis| trials.checked_mul(values(&sites, axis)));
        if let (Some(last), true) = (sites.last(), trials.is_none_or(|trials| trials > MOST_TRIALS)) {
            let count = trials.map_or("more than can be counted".to_owned(), |trials| trials.to_string());
            let message =
                format!("with this sweep there are {count} trials, and at most {MOST_TRIALS} are allowed");
            let help = "sweeps multiply out; those of one name, `Sweep(\"name\", [...])`, go in step";
            return Err(ExperimentError::new(last.head.clone(), message).with_help(help).into());
        }
        let labels = Labels::new(axes.iter().map(|axis| {
            let first = &sites[axis.sites[0]];
            Swept { name: first.written.name.as_ref().map(|name| name.text.as_str()), path: &first.path }
        }));
        let places = Labels::new(sites.iter().map(|site| Swept { name: None, path: &site.path }));
        Ok(Self { sites, axes, labels, places })
    }

    /// Whether anything is swept.
    pub(super) fn is_empty(&self) -> bool {
        self.axes.is_empty()
    }

    /// Number of trials; 1 where nothing is swept.
    pub(super) fn trials(&self) -> usize {
        self.axes.iter().map(|axis| values(&self.sites, axis)).product()
    }

    /// Which value each sweep has in trial number `trial`, in the order of the sites.
    fn choice(&self, mut trial: usize) -> Vec<usize> {
        let mut choice = vec![0; self.sites.len()];
        for axis in self.axes.iter().rev() {
            let count = values(&self.sites, axis);
            axis.sites.iter().for_each(|&site| choice[site] = trial % count);
            trial /= count;
        }
        choice
    }

    /// The tree of trial number `trial`, made from `root`, in which the sweeps were found.
    pub(super) fn trial(&self, root: &Node, trial: usize) -> Node {
        let mut chosen =
            self.sites.iter().zip(self.choice(trial)).map(|(site, value)| &site.written.values[value]);
        let mut root = root.clone();
        root.replace(&mut |node| if is_sweep(node) { chosen.next().cloned() } else { None });
        root
    }

    /// What differs in trial number `trial`: names and values, in the order written. Of sweeps that go in step, it is one that tells the
    /// trials apart, and where none does, each by itself.
    pub(super) fn differing(&self, trial: usize) -> Vec<(&str, &Node)> {
        let choice = self.choice(trial);
        let places: Vec<&str> = self.places.iter().collect();
        let value = |site: usize| &self.sites[site].written.values[choice[site]];
        let of_axis = |(label, axis): (_, &Axis)| match axis.telling {
            None => axis.sites.iter().map(|&site| (places[site], value(site))).collect(),
            Some(site) => vec![(label, value(site))],
        };
        self.labels.iter().zip(&self.axes).flat_map(of_axis).collect()
    }

    /// The name of trial number `trial`, with `seed` at its end: `hidden.weight=1e-5,seed=1`. Where no value tells trials apart that go in
    /// step, they are called by their number, from 0.
    pub(super) fn name(&self, trial: usize, seed: u64) -> String {
        // The seed has its place at the end.
        let own = |axis: &Axis| axis.sites.len() > 1 || self.sites[axis.sites[0]].path != ["seed"];
        let choice = self.choice(trial);
        let value = |axis: &Axis| {
            let first = axis.sites[0];
            match axis.telling {
                None => numbers::number(choice[first].to_string(), &self.sites[first].head),
                Some(site) => self.sites[site].written.values[choice[site]].clone(),
            }
        };
        let axes = self.labels.iter().zip(&self.axes).filter(|(_, axis)| own(axis));
        label::trial(axes.map(|(label, axis)| (label, value(axis))), seed)
    }

    /// The mistake that there are several trials where one is needed.
    pub(super) fn several(&self) -> ExperimentError {
        let count = self.trials();
        let several = self.sites.iter().find(|site| site.written.values.len() > 1).unwrap_or(&self.sites[0]);
        let message = format!("this experiment has {count} trials, and one is needed here");
        ExperimentError::new(several.head.clone(), message)
            .with_help("write one value in its place, or give the `experiment.ron` of a trial that was run")
    }

    /// The mistake that the trial `again` is the same as the trial `first`.
    pub(super) fn same(&self, first: usize, again: usize) -> ExperimentError {
        let (first, again) = self.difference(first, again);
        let message = format!("`{}` gives the same trial twice", again.text());
        ExperimentError::new(again, message).with_label("again here").with_also(first, "first here")
    }

    /// The mistake that both trials would be called `name`.
    pub(super) fn called_same(&self, first: usize, again: usize, name: &str) -> ExperimentError {
        let (first, again) = self.difference(first, again);
        ExperimentError::new(again, format!("two trials would be called `{name}`"))
            .with_label("with this value")
            .with_also(first, "and with this one")
            .with_help("trials are named by their values: leave one of the two out, or run it from a file of its own")
    }

    /// The places of the values by which two trials differ.
    fn difference(&self, trial: usize, other: usize) -> (Span, Span) {
        let (ours, theirs) = (self.choice(trial), self.choice(other));
        let site = (0..self.sites.len()).find(|&site| ours[site] != theirs[site]).unwrap_or_default();
        let span = |value: usize| self.sites[site].written.values[value].span.clone();
        (span(ours[site]), span(theirs[site]))
    }
}

fn values(sites: &[Site], axis: &Axis) -> usize {
    sites[axis.sites[0]].written.values.len()
}

fn axes(sites: &[Site], errors: &mut Vec<ExperimentError>) -> Vec<Axis> {
    let mut axes: Vec<Axis> = Vec::new();
    for (index, site) in sites.iter().enumerate() {
        let name = |site: &Site| site.written.name.as_ref().map(|name| name.text.clone());
        let in_step = |axis: &&mut Axis| name(site).is_some() && name(&sites[axis.sites[0]]) == name(site);
        let Some(axis) = axes.iter_mut().find(in_step) else {
            axes.push(Axis { sites: vec![index], telling: None });
            continue;
        };
        let first = &sites[axis.sites[0]];
        let (there, here) = (first.written.values.len(), site.written.values.len());
        if there != here {
            let name = name(site).unwrap_or_default();
            let message = format!(
                "sweeps called {name:?} go in step, but this one has {} and the first, at {}, has {there}",
                counted(here, "value", "values"),
                first.head
            );
            errors.push(
                ExperimentError::new(site.head.clone(), message)
                    .with_label(counted(here, "value", "values"))
                    .with_also(first.head.clone(), counted(there, "value", "values"))
                    .with_help("give both the same number of values, or another name to one of them, so that they multiply out"),
            );
        }
        axis.sites.push(index);
    }
    axes
}

#[derive(Default)]
struct Search {
    path: Vec<String>,
    sites: Vec<Site>,
    errors: Vec<ExperimentError>,
}

impl Search {
    fn visit(&mut self, node: &Node) {
        if is_sweep(node) {
            match values::read(node, &self.path) {
                Ok(written) => self.found(node, written),
                Err(error) => self.errors.push(error),
            }
            return;
        }
        match &node.value {
            Value::Some(inner) => self.visit(inner),
            Value::Record { fields, .. } => {
                fields.iter().for_each(|(name, node)| self.step(&name.text, node))
            }
            Value::Map(entries) => entries.iter().for_each(|(key, node)| match &key.value {
                Value::String(key) => self.step(key, node),
                _ => self.step(&key.to_string(), node),
            }),
            // The one value of a variant has the path of the variant: `Share({ "hidden": ... })`.
            Value::Tuple { items, .. } if items.len() == 1 => self.visit(&items[0]),
            Value::List(items) | Value::Tuple { items, .. } => {
                items.iter().enumerate().for_each(|(index, node)| self.step(&index.to_string(), node));
            }
            _ => {}
        }
    }

    fn step(&mut self, step: &str, node: &Node) {
        self.path.push(step.to_owned());
        self.visit(node);
        self.path.pop();
    }

    fn found(&mut self, node: &Node, written: Written) {
        self.errors.extend(written.values.iter().filter_map(first).map(|inner| {
            let message = "a sweep inside a sweep: it is not clear which of their values go together";
            let help = "write out the values, or sweep the places themselves: sweeps of different places multiply out";
            let error = ExperimentError::new(inner.head(), message).with_label("inside");
            error.with_also(node.head(), "of this").with_help(help)
        }));
        let never = match self.path.as_slice() {
            [] => {
                Some(("the whole file cannot be swept", "sweep the values in it, or write a file for each"))
            }
            [field] if field == "devices" => Some((
                "`devices` cannot be swept: they are no part of a trial",
                "give others with `--device`",
            )),
            [field] if field == "name" => Some((
                "`name` cannot be swept: all trials belong to one experiment",
                "trials are named by what differs between them",
            )),
            _ => None,
        };
        self.errors
            .extend(never.map(|(message, help)| ExperimentError::new(node.head(), message).with_help(help)));
        self.sites.push(Site { path: self.path.clone(), head: node.head(), written });
    }
}
