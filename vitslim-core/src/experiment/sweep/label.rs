//! Names of trials: what differs between them, as a folder can be called.

use std::collections::{HashMap, HashSet};

use sha2::{Digest, Sha256};

use crate::experiment::number;
use crate::experiment::tree::{Node, Value};

/// Characters of a value that a name has room for.
const LONGEST_VALUE: usize = 40;

/// Characters of a name; file systems take 255.
const LONGEST_NAME: usize = 200;

/// A sweep, as far as it gives a name.
pub(super) struct Swept<'a> {
    /// The name by which it goes in step with others.
    pub(super) name: Option<&'a str>,
    /// Where it stands.
    pub(super) path: &'a [String],
}

/// The label of each sweep.
#[derive(Clone, Debug)]
pub(super) struct Labels(Vec<String>);

impl Labels {
    /// A sweep with a name is called by it, any other by the last two steps of its path, or by as many more as tell it from the others.
    pub(super) fn new<'a>(swept: impl Iterator<Item = Swept<'a>>) -> Self {
        let swept: Vec<Swept<'a>> = swept.collect();
        let mut steps = vec![2; swept.len()];
        loop {
            let labels: Vec<String> =
                swept.iter().zip(&steps).map(|(swept, &steps)| swept.label(steps)).collect();
            let mut count: HashMap<&str, usize> = HashMap::new();
            labels.iter().for_each(|label| *count.entry(label).or_default() += 1);
            let longer: Vec<usize> = (0..swept.len())
                .filter(|&index| count[labels[index].as_str()] > 1 && steps[index] < swept[index].longest())
                .collect();
            if longer.is_empty() {
                return Self(numbered(labels));
            }
            longer.into_iter().for_each(|index| steps[index] += 1);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }
}

impl Swept<'_> {
    fn longest(&self) -> usize {
        if self.name.is_some() { 0 } else { self.path.len() }
    }

    fn label(&self, steps: usize) -> String {
        if let Some(name) = self.name {
            return safe(name);
        }
        let mut from = self.path.len().saturating_sub(steps);
        // An index says nothing without its list.
        while from > 0 && self.path[from].parse::<usize>().is_ok() {
            from -= 1;
        }
        self.path[from..].iter().map(|step| safe(step)).collect::<Vec<_>>().join(".")
    }
}

/// The labels, with a number behind those that are still alike: their keys differ in what no folder can have in its name.
fn numbered(labels: Vec<String>) -> Vec<String> {
    let mut given: HashSet<String> = HashSet::new();
    let mut numbers: HashMap<String, usize> = HashMap::new();
    let numbered = labels.into_iter().map(|label| {
        let mut free = label.clone();
        let number = numbers.entry(label.clone()).or_insert(1);
        while !given.insert(free.clone()) {
            *number += 1;
            free = format!("{label}-{number}");
        }
        free
    });
    numbered.collect()
}

/// The name of a trial: `a=1,b=x,seed=0`.
pub(super) fn trial<'a>(differing: impl Iterator<Item = (&'a str, Node)>, seed: u64) -> String {
    let values = differing.map(|(name, value)| format!("{name}={}", self::value(&value)));
    let name: Vec<String> = values.chain([format!("seed={seed}")]).collect();
    shortened(name.join(","), LONGEST_NAME)
}

/// A value as a part of a name. Where a name cannot have it as it is, digits of its hash tell it from others.
pub(super) fn value(node: &Node) -> String {
    let text = match node.present() {
        Node { value: Value::Number(number), .. } => {
            return shortened(number::canonical(number), LONGEST_VALUE);
        }
        Node { value: Value::String(text), .. } => text.clone(),
        node => node.to_string(),
    };
    let safe = safe(&text);
    match safe == text {
        true => shortened(safe, LONGEST_VALUE),
        false => with_hash(&safe, &text, LONGEST_VALUE),
    }
}

/// `text`, or as much of it as has room in `longest` characters, with digits of its hash behind it.
pub(crate) fn shortened(text: String, longest: usize) -> String {
    if text.len() <= longest { text } else { with_hash(&text, &text, longest) }
}

/// `safe`, cut to at most `longest` bytes, with digits of the hash of `text` at its end.
fn with_hash(safe: &str, text: &str, longest: usize) -> String {
    let digits: String = Sha256::digest(text).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    let cut: String = safe.chars().take(longest - digits.len() - 1).collect();
    format!("{}-{digits}", cut.trim_end_matches('-'))
}

/// `text` with `-` for what a folder, a shell or a table would stumble over.
fn safe(text: &str) -> String {
    let mut safe = String::new();
    for c in text.chars() {
        match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '_' | '.' | '-' | '+' => safe.push(c),
            _ if safe.ends_with('-') => {}
            _ => safe.push('-'),
        }
    }
    // A name that begins with these is an argument, or hidden.
    safe.trim_start_matches(['-', '.']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::parse::parse;
    use crate::experiment::source::Source;

    fn labels(paths: &[(Option<&str>, &str)]) -> Vec<String> {
        let paths: Vec<(Option<&str>, Vec<String>)> =
            paths.iter().map(|(name, path)| (*name, path.split('/').map(str::to_owned).collect())).collect();
        Labels::new(paths.iter().map(|(name, path)| Swept { name: *name, path })).0
    }

    #[test]
    fn sweeps_are_called_by_as_few_steps_as_tell_them_apart() {
        let hidden = "search/dimensions/hidden/weight";
        assert_eq!(labels(&[(None, hidden), (None, "seed")]), ["hidden.weight", "seed"]);
        let rates = [(None, "search/optimizer/lr"), (None, "retrain/optimizer/lr"), (None, "search/epochs")];
        assert_eq!(labels(&rates), ["search.optimizer.lr", "retrain.optimizer.lr", "search.epochs"]);
        assert_eq!(
            labels(&[(None, "budgets/0/hidden"), (Some("my size"), "model/config/dim")]),
            ["budgets.0.hidden", "my-size"]
        );
        assert_eq!(labels(&[(None, "d/a*b/w"), (None, "d/a?b/w")]), ["d.a-b.w", "d.a-b.w-2"]);
    }

    #[test]
    fn values_are_written_as_they_are_or_told_apart_by_a_hash() {
        let value = |text: &str| value(&parse(&Source::new("s", text), 0).unwrap().unwrap());
        assert_eq!(
            ["1e-5", "0.00001", "-3", "true", "Tanh", "\"vit\""].map(value),
            ["1e-5", "1e-5", "-3", "true", "Tanh", "vit"]
        );
        assert_eq!(value("Some(1.0)"), "1.0");
        let (path, other) = (value("\"/data/a b\""), value("\"/data/a-b\""));
        assert!(path.starts_with("data-a-b-") && other.starts_with("data-a-b-") && path != other);
        assert!(value("AdamW(lr: 1e-3, weight_decay: 0.05, beta1: 0.9)").len() <= LONGEST_VALUE);
        assert!(!value("\"../..\"").contains('/'));
        let long = |last: &str| format!("\"{}{last}\"", "x".repeat(100));
        assert_ne!(value(&long("a")), value(&long("b")));
    }

    #[test]
    fn names_are_no_longer_than_a_file_system_takes() {
        let node = parse(&Source::new("s", "12345"), 0).unwrap().unwrap();
        let names: Vec<String> = (0..40).map(|index| format!("name-{index}")).collect();
        let name = trial(names.iter().map(|name| (name.as_str(), node.clone())), 1);
        assert!(name.len() <= LONGEST_NAME);
        assert_eq!(trial([("a.b", node)].into_iter(), 1), "a.b=12345,seed=1");
    }
}
