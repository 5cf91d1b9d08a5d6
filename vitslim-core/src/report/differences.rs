//! What differs between experiments.

use serde::Serialize;

use crate::experiment::{Node, Value, with_left_out};

/// A field whose values differ between experiments.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Path of the field, as `--set` takes it: `search.dimensions.hidden.weight`.
    pub path: String,
    /// Its value in each experiment, in RON; `None` where there is no such field.
    pub values: Vec<Option<String>>,
}

/// What differs between `experiments`, in the order in which they write it: field by field, and item by item of a list of structs. Where
/// one has another variant than the others, the variants differ, and so do the fields that are not in both. Numbers are compared however
/// they are spelt.
pub fn differences(experiments: &[&Node]) -> Vec<Difference> {
    let mut found = Vec::new();
    let roots: Vec<_> = experiments.iter().map(|root| Some(*root)).collect();
    compare("", &roots, &mut found);
    found
}

/// What differs between those of `experiments` that are known: a field that one leaves out has its default there. One that is not known,
/// `None`, has no value of any field.
pub fn differences_of_known(experiments: &[Option<&Node>]) -> Vec<Difference> {
    let known: Vec<Node> = experiments.iter().copied().flatten().map(with_left_out).collect();
    let mut found = differences(&known.iter().collect::<Vec<_>>());
    for difference in &mut found {
        let mut values = std::mem::take(&mut difference.values).into_iter();
        difference.values =
            experiments.iter().map(|experiment| experiment.and_then(|_| values.next().flatten())).collect();
    }
    found
}

/// Adds to `found` what differs between `nodes`, which stand at `path`.
fn compare(path: &str, nodes: &[Option<&Node>], found: &mut Vec<Difference>) {
    let heads: Vec<Option<String>> = nodes.iter().map(|node| node.map(head)).collect();
    let fields: Vec<Vec<(String, &Node)>> =
        nodes.iter().map(|node| node.and_then(fields).unwrap_or_default()).collect();
    let mut steps: Vec<&str> = Vec::new();
    for (step, _) in fields.iter().flatten() {
        if !steps.contains(&step.as_str()) {
            steps.push(step);
        }
    }
    let mut there = heads.iter().flatten();
    let first = there.next();
    let differ = there.any(|head| Some(head) != first);
    // What is missing is told by its fields, if it has any.
    if !path.is_empty() && (differ || (steps.is_empty() && heads.contains(&None))) {
        found.push(Difference { path: path.to_owned(), values: heads.clone() });
    }
    for step in steps {
        let below: Vec<Option<&Node>> = fields
            .iter()
            .map(|fields| fields.iter().find(|(name, _)| name == step).map(|(_, node)| *node))
            .collect();
        let path = if path.is_empty() { step.to_owned() } else { format!("{path}.{step}") };
        compare(&path, &below, found);
    }
}

/// The fields of `node`, which are compared one by one; `None` if it is compared as a whole.
fn fields(node: &Node) -> Option<Vec<(String, &Node)>> {
    match &node.present().value {
        Value::Record { fields, .. } => {
            Some(fields.iter().map(|(name, node)| (step(&name.text), node)).collect())
        }
        Value::Map(entries) => Some(entries.iter().map(|(key, node)| (key_step(key), node)).collect()),
        Value::List(items) if items.iter().any(|item| fields(item).is_some()) => {
            Some(items.iter().enumerate().map(|(index, item)| (index.to_string(), item)).collect())
        }
        // The one value of a variant has the path of the variant: `Share({ "hidden": ... })`.
        Value::Tuple { items, .. } => match &items[..] {
            [item] => fields(item),
            _ => None,
        },
        _ => None,
    }
}

/// `node` as a whole, or without its fields: `AdamW(...)`.
fn head(node: &Node) -> String {
    let node = node.present();
    match (&node.value, node.name()) {
        _ if fields(node).is_none() => node.to_string(),
        (Value::List(_), _) => "[...]".to_owned(),
        (Value::Map(_), _) => "{...}".to_owned(),
        (_, name) => format!("{}(...)", name.unwrap_or_default()),
    }
}

/// The step of a path that leads to the value of `key`.
fn key_step(key: &Node) -> String {
    match &key.value {
        Value::String(key) => step(key),
        _ => key.to_string(),
    }
}

/// A step of a path, in quotes where it would be taken for several.
fn step(name: &str) -> String {
    if name.contains(['.', '[', ']', '"']) { format!("{name:?}") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::{Source, parse};

    fn told(texts: &[&str]) -> Vec<(String, Vec<String>)> {
        let nodes: Vec<Node> =
            texts.iter().map(|text| parse(&Source::new("a.ron", *text), 0).unwrap().unwrap()).collect();
        let shown = |value: Option<String>| value.unwrap_or_else(|| "-".to_owned());
        let found = differences(&nodes.iter().collect::<Vec<_>>()).into_iter();
        found.map(|found| (found.path, found.values.into_iter().map(shown).collect())).collect()
    }

    fn row(path: &str, values: &[&str]) -> (String, Vec<String>) {
        (path.to_owned(), values.iter().map(|value| (*value).to_owned()).collect())
    }

    #[test]
    fn what_is_the_same_does_not_differ_however_it_is_spelt() {
        let same = [
            "Experiment(seed: 1, lr: 1e-4, clip: Some(1.0), map: {\"b\": 1, \"a\": 2})",
            "(lr: 0.0001, seed: 1, map: {\"a\": 2, \"b\": 1}, clip: 1.0)",
        ];
        assert_eq!(told(&same), []);
        assert_eq!(told(&same[..1]), []);
    }

    #[test]
    fn each_field_has_its_path_and_the_value_of_each() {
        let found = told(&[
            "(seed: 1, search: (dimensions: {\"hidden\": (weight: 1e-4), \"blocks.*.heads\": (weight: 1)}), sizes: [1, 2])",
            "(seed: 2, search: (dimensions: {\"hidden\": (weight: 1e-4), \"blocks.*.heads\": (weight: 2)}), sizes: [1, 3])",
            "(seed: 2, search: (dimensions: {\"hidden\": (weight: 1e-3)}), sizes: [1, 3])",
        ]);
        let expected = [
            row("seed", &["1", "2", "2"]),
            row("search.dimensions.hidden.weight", &["0.0001", "0.0001", "0.001"]),
            row("search.dimensions.\"blocks.*.heads\".weight", &["1", "2", "-"]),
            row("sizes", &["[1, 2]", "[1, 3]", "[1, 3]"]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_left_out_has_its_default_and_what_is_not_known_no_value() {
        let nodes = [
            "(seed: 1, log_every: 50, correct: true)",
            "(seed: 2, log_every: 50, importance: Taylor(batches: 8))",
        ];
        let nodes = nodes.map(|text| parse(&Source::new("a.ron", text), 0).unwrap().unwrap());
        let found = differences_of_known(&[Some(&nodes[0]), None, Some(&nodes[1])]);
        let row = |path: &str, values: [Option<&str>; 3]| {
            let values = values.map(|value| value.map(str::to_owned)).to_vec();
            Difference { path: path.to_owned(), values }
        };
        let expected = [
            row("seed", [Some("1"), None, Some("2")]),
            row("correct", [Some("true"), None, Some("false")]),
            row("importance", [Some("Masks"), None, Some("Taylor(...)")]),
            row("importance.batches", [None, None, Some("8")]),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn another_variant_is_told_and_then_what_only_one_has() {
        let found = told(&[
            "(data: Digits, optimizer: AdamW(lr: 1, beta: 2), retrain: None, budgets: [Share({\"hidden\": 0.5}), Macs(0.5)])",
            "(data: Random(images: 9), optimizer: Sgd(lr: 1), retrain: Some((epochs: 3)), budgets: [Share({\"hidden\": 0.6})])",
        ]);
        let expected = [
            row("data", &["Digits", "Random(...)"]),
            row("data.images", &["-", "9"]),
            row("optimizer", &["AdamW(...)", "Sgd(...)"]),
            row("optimizer.beta", &["2", "-"]),
            row("retrain", &["None", "(...)"]),
            row("retrain.epochs", &["-", "3"]),
            row("budgets.0.hidden", &["0.5", "0.6"]),
            row("budgets.1", &["Macs(0.5)", "-"]),
        ];
        assert_eq!(found, expected);
    }
}
