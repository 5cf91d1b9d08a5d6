//! The configuration of an architecture: the preset, over it what the data say, image and classes, over it what is written.

use schemars::SchemaGenerator;

use crate::data::{Dataset, ImageShape};
use crate::experiment::{Document, Fault, Faults, Model, Reading, did_you_mean, merge_config, read, typed};
use crate::models::{Architecture, ConfigError};

/// The configuration of the network in `document`, if all of it is right, for its `data` if they are known. What is wrong is added to
/// `found`.
pub(crate) fn config<A: Architecture>(
    document: &Document,
    data: Option<&Dataset>,
    found: &mut Vec<Fault>,
) -> Option<A::Config> {
    let Reading { value: Some(model), faults } = document.reading::<Model>(&["model"])? else { return None };
    let before = found.len();
    let presets = A::presets();
    let preset = match &model.preset {
        None => None,
        Some(name) => find_preset::<A>(document, &presets, name).map_err(|faults| found.extend(faults)).ok(),
    };
    let known = data.map(|Dataset { shape: ImageShape { channels, size }, classes, .. }| {
        vec![("image_size", *size), ("channels", *channels), ("classes", *classes)]
    });
    let right = faults.is_empty() && preset.is_some() == model.preset.is_some();
    let written = document.at(&["model", "config"]);
    let fields = fields::<A>();
    let merged = merge_config(preset, &known.unwrap_or_default(), written, &fields, found);
    let merged = merged.map_err(|faults| found.extend(faults)).ok()?;
    // Without data, it may not be said for which images the network is.
    let says = |name: &&str| fields.iter().all(|field| field != name) || merged.child(name).is_some();
    let images_known = data.is_some() || ["image_size", "channels"].iter().all(says);
    let Reading { value, faults } = read(&merged);
    // What is missing may be what preset or data would have said.
    let known = right && data.is_some();
    found.extend(faults.into_iter().filter(|fault| known || fault.missing().is_none()));
    value.filter(|_| right && images_known && found.len() == before)
}

/// The default configuration of the architecture.
///
/// # Errors
///
/// The fields that have no default.
pub(crate) fn default<A: Architecture>() -> Result<A::Config, Faults> {
    typed(&merge_config(None::<&A::Config>, &[], None, &[], &mut Vec::new())?)
}

/// What an architecture says of a configuration, at its place in `document`.
pub(crate) fn config_fault(document: &Document, error: ConfigError) -> Faults {
    document.fault(&["model", "config", error.field], error.message, None)
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

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Tensor};
    use schemars::JsonSchema;
    use serde::{Deserialize, Serialize};
    use vitslim_macros::Slimmable;

    use super::*;
    use crate::data::digits;
    use crate::models::{Logits, Vit};

    /// A configuration without defaults.
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    struct Bare {
        image_size: usize,
        dim: usize,
    }

    #[derive(Module, Debug, Slimmable)]
    struct BareVit {
        #[slim]
        vit: Vit,
    }

    impl Architecture for BareVit {
        type Config = Bare;

        fn presets() -> Vec<(&'static str, Bare)> {
            vec![("tiny", Bare { image_size: 8, dim: 16 })]
        }

        fn init(_: &Bare, _: &Device) -> Result<Self, ConfigError> {
            Err(ConfigError::new("dim", "is not made here"))
        }

        fn forward(&self, images: Tensor<4>) -> Logits {
            self.vit.forward(images)
        }
    }

    #[test]
    fn of_a_field_that_preset_or_data_would_say_it_is_not_told_that_it_is_missing() {
        let data = digits().unwrap();
        for (model, data, expected) in [
            (r#"config: (dim: 16)"#, Some(&data), &[][..]),
            (r#"config: ()"#, Some(&data), &["missing field `dim`"]),
            (r#"preset: "tiny""#, Some(&data), &[]),
            (r#"preset: "tony""#, Some(&data), &["unknown preset `tony`"]),
            (r#"preset: 3"#, Some(&data), &[]),
            (r#"config: (dim: 16)"#, None, &[]),
            (r#"config: (dim: "16")"#, None, &["`dim`: expected a whole number"]),
        ] {
            let text = format!(r#"(model: (architecture: "bare", {model}))"#);
            let document = Document::parse("f.ron", &text, &[]).unwrap();
            let mut found = Vec::new();
            let config = config::<BareVit>(&document, data, &mut found);
            let told: Vec<_> = found.iter().map(|fault| fault.message()).collect();
            assert_eq!(told.len(), expected.len(), "{model}: {told:?}");
            assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:?}");
            let right = expected.is_empty() && data.is_some() && !model.contains('3');
            assert_eq!(config.is_some(), right, "{model}");
        }
    }
}
