//! The fields that an experiment leaves out.

use serde_json::Value as Json;

use super::parse::parse;
use super::schema::Experiment;
use super::source::Source;
use super::tree::{Node, Value};

/// `root`, that of an experiment, with what it leaves out at the top as its default. Fields that came with later versions are not written
/// where they have that.
pub(crate) fn with_left_out(root: &Node) -> Node {
    let mut whole = root.present().clone();
    if let (Value::Record { fields, .. }, Some(Value::Record { fields: defaults, .. })) =
        (&mut whole.value, defaults().map(|defaults| defaults.value))
    {
        for (name, default) in defaults {
            if !fields.iter().any(|(known, _)| known.text == name.text) {
                fields.push((name, default));
            }
        }
    }
    whole
}

/// The fields at the top that have a default, with it.
fn defaults() -> Option<Node> {
    let schema = schemars::schema_for!(Experiment);
    let fields = schema.get("properties")?.as_object()?.iter().filter_map(|(name, field)| {
        let default = match field.get("default")? {
            Json::Null => "None".to_owned(),
            // None of them is a text: these are names of variants.
            Json::String(variant) => variant.clone(),
            default => default.to_string(),
        };
        Some(format!("{name}: {default}"))
    });
    let text = format!("({})", fields.collect::<Vec<_>>().join(", "));
    parse(&Source::new("defaults", text), 0).ok()?
}
