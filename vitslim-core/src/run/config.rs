//! The configuration of an architecture: the preset, over it what the data say, image and classes, over it what is written.

use schemars::SchemaGenerator;

use crate::data::{Dataset, ImageShape};
use crate::experiment::{Document, Fault, Faults, Model, Reading, did_you_mean, merge_config, read};
use crate::models::Architecture;

/// Fields that the data say, if a configuration has them.
const IMAGE_SIZE: &str = "image_size";
const CHANNELS: &str = "channels";
const CLASSES: &str = "classes";

/// The configuration of `model` for images of this shape and so many classes. What is wrong with it is added to `found`, and left
/// out of it; without data, nothing is said of fields that are missing for that.
pub(crate) fn config<A: Architecture>(
    document: &Document,
    model: &Model,
    data: Option<&Dataset>,
    found: &mut Vec<Fault>,
) -> Option<A::Config> {
    let presets = A::presets();
    let preset = match &model.preset {
        None => None,
        Some(name) => find_preset::<A>(document, &presets, name).map_err(|faults| found.extend(faults)).ok(),
    };
    let known = data.map(|Dataset { shape: ImageShape { channels, size }, classes, .. }| {
        vec![(IMAGE_SIZE, *size), (CHANNELS, *channels), (CLASSES, *classes)]
    });
    let written = document.at(&["model", "config"]);
    let merged = merge_config(preset, &known.unwrap_or_default(), written, &fields::<A>(), found);
    let merged = merged.map_err(|faults| found.extend(faults)).ok()?;
    let Reading { value, faults } = read(&merged);
    let of_data = |fault: &Fault| {
        let missing = |name: &str| fault.message().starts_with(&format!("missing field `{name}`"));
        data.is_none() && [IMAGE_SIZE, CHANNELS, CLASSES].into_iter().any(missing)
    };
    found.extend(faults.into_iter().filter(|fault| !of_data(fault)));
    value
}

/// The default configuration of an architecture, if it has one.
pub(crate) fn default<A: Architecture>() -> Option<A::Config> {
    merge_config(None::<&A::Config>, &[], None, &[], &mut Vec::new()).ok().and_then(|node| read(&node).value)
}

fn find_preset<'a, A: Architecture>(
    document: &Document,
    presets: &'a [(&'static str, A::Config)],
    name: &str,
) -> Result<&'a A::Config, Faults> {
    if let Some((_, config)) = presets.iter().find(|(preset, _)| *preset == name) {
        return Ok(config);
    }
    let names: Vec<_> = presets.iter().map(|(preset, _)| *preset).collect();
    let hint = did_you_mean(name, names.iter().copied());
    let help = match names.is_empty() {
        true => "this architecture has no presets".to_owned(),
        false => format!("presets: {}", names.join(", ")),
    };
    Err(document.fault(&["model", "preset"], format!("unknown preset `{name}`{hint}"), Some(help)))
}

/// Names of the configuration's fields.
fn fields<A: Architecture>() -> Vec<String> {
    let schema = SchemaGenerator::default().into_root_schema_for::<A::Config>();
    let properties = schema.get("properties").and_then(|properties| properties.as_object());
    properties.map(|properties| properties.keys().cloned().collect()).unwrap_or_default()
}
