//! A model's configuration, put together from its preset, the data and what is written.

use serde::Serialize;

use super::de::typed;
use super::fault::{Fault, Faults};
use super::parse::parse;
use super::source::{Source, Span};
use super::tree::{Name, Node, Value, overlay};

/// The configuration of a model: the fields of `preset`, over them what the `data` says (image size, channels,
/// classes), over them what is `written`. Of the data's numbers only those are taken that the configuration has a
/// field for; `fields` are the names of its fields. Written numbers that contradict the data's are added to `found`.
///
/// # Errors
///
/// When the preset cannot be written as RON.
pub fn merge_config(
    preset: Option<&impl Serialize>,
    data: &[(&str, usize)],
    written: Option<&Node>,
    fields: &[String],
    found: &mut Vec<Fault>,
) -> Result<Node, Faults> {
    let mut node = match preset {
        Some(preset) => serialized(preset)?,
        None => record(&Source::new("the configuration", "()"), Vec::new()),
    };
    let data: Vec<(&str, usize)> =
        data.iter().copied().filter(|(name, _)| fields.iter().any(|field| field == name)).collect();
    node = overlay(node, from_data(&data));
    if let Some(written) = written {
        let written = written.present();
        found.extend(data.iter().filter_map(|&(name, value)| contradiction(written, name, value)));
        node = overlay(node, written.clone());
    }
    Ok(node)
}

fn serialized(preset: &impl Serialize) -> Result<Node, Faults> {
    let unwritable = |reason: String| {
        let source = Source::new("the preset", reason.clone());
        Faults::from(Fault::new(Span::new(&source, 0, 0), format!("the preset cannot be written: {reason}")))
    };
    let text = ron::to_string(preset).map_err(|error| unwritable(error.to_string()))?;
    parse(&Source::new("the preset", text), 0)?.ok_or_else(|| unwritable("it is empty".to_owned()))
}

fn from_data(data: &[(&str, usize)]) -> Node {
    let text: Vec<String> = data.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let source = Source::new("the data", text.join(", "));
    let span = Span::new(&source, 0, source.text().len());
    let fields = data
        .iter()
        .map(|&(name, value)| {
            let name = Name { text: name.to_owned(), span: span.clone() };
            (name, Node::new(Value::Number(value.to_string()), span.clone()))
        })
        .collect();
    record(&source, fields)
}

fn record(source: &std::sync::Arc<Source>, fields: Vec<(Name, Node)>) -> Node {
    let span = Span::new(source, 0, source.text().len());
    Node::new(Value::Record { name: None, fields }, span)
}

fn contradiction(written: &Node, name: &str, value: usize) -> Option<Fault> {
    let node = written.child(name)?;
    let said: usize = typed(node).ok()?;
    (said != value).then(|| {
        Fault::new(node.span.clone(), format!("`{name}` is {said}, but the data has {value}"))
            .with_help(format!("leave `{name}` out: it is taken from the data"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Config {
        image_size: usize,
        dim: usize,
        drop_path: Option<f64>,
    }

    const PRESET: Config = Config { image_size: 224, dim: 384, drop_path: None };

    fn merged(written: &str) -> Result<String, Faults> {
        let written = parse(&Source::new("f.ron", written), 0)?;
        let fields = ["image_size", "dim", "drop_path"].map(str::to_owned);
        let data = [("image_size", 8), ("classes", 10)];
        let mut found = Vec::new();
        let merged = merge_config(Some(&PRESET), &data, written.as_ref(), &fields, &mut found)?;
        Faults::check(found).map(|()| merged.to_string())
    }

    #[test]
    fn written_fields_lie_over_the_data_and_the_data_over_the_preset() {
        assert_eq!(merged("").unwrap(), "(image_size: 8, dim: 384, drop_path: None)");
        assert_eq!(merged("(dim: 64, x: 1)").unwrap(), "(image_size: 8, dim: 64, drop_path: None, x: 1)");
        assert_eq!(merged("Some((image_size: 8))").unwrap(), merged("").unwrap());
    }

    #[test]
    fn a_number_that_contradicts_the_data_is_refused() {
        let faults = merged("(image_size: 32)").unwrap_err();
        assert_eq!(faults.to_string(), "f.ron:1:14: `image_size` is 32, but the data has 8");
    }
}
