//! The configuration of a network: its preset, or that of the network that it starts from, overridden by what the data determine,
//! overridden by what the file says.

use std::collections::BTreeSet;

use schemars::SchemaGenerator;
use serde::Serialize;
use serde_json::Value as Json;

use super::pretrained::{LeftNetwork, pretrained_error};
use crate::data::{Dataset, ImageShape};
use crate::experiment::{
    Document, ExperimentError, ExperimentErrors, Node, Reading, Source, Span, Value, did_you_mean, overlay,
    parse, read, typed,
};
use crate::models::{Architecture, ConfigError};
use crate::weights::WeightsError;

/// Fields that act in training alone, by the names that architectures with presets give them: a network that is trained further may
/// have others.
const IN_TRAINING: [&str; 2] = ["dropout", "drop_path"];

/// Most values of a dense network for each that is left of it.
const MOST_CUT: f64 = 1000.0;

/// Values of a dense network that are never too many.
const NEVER_TOO_MANY: f64 = 1e6;

/// What the data determine about a network: fields that its configuration may have, and their values.
pub(crate) type Facts = [(&'static str, usize)];

/// The fields that data determine.
const FROM_DATA: [&str; 3] = ["image_size", "channels", "classes"];

/// All that `data` determine.
pub(crate) fn facts(data: &Dataset) -> [(&'static str, usize); 3] {
    let ImageShape { channels, size } = data.shape;
    let [of_size, of_channels, of_classes] = FROM_DATA;
    [(of_size, size), (of_channels, channels), (of_classes, data.classes)]
}

/// The configuration of the network in `document`, which may start from one that a run `left`; `None` if neither the file nor the
/// `facts` give the shape of its images.
///
/// # Errors
///
/// The mistakes in it, as far as the `facts` show them: unless the facts are complete, missing fields and rules over the whole
/// configuration are not checked. And what contradicts the network that it starts from.
pub(crate) fn config<A: Architecture>(
    document: &Document,
    facts: &Facts,
    left: Option<&LeftNetwork>,
) -> Result<Option<A::Config>, ExperimentErrors> {
    let left =
        left.map(|left| Ok::<_, ExperimentErrors>((left, config_of::<A>(document, left)?))).transpose()?;
    let known = left.as_ref().map(|(_, config)| config);
    let (node, Reading { value, errors }) = read_config::<A>(document, facts, known)?;
    ExperimentErrors::check(errors)?;
    if let (Some(value), Some((left, config))) = (&value, &left) {
        ExperimentErrors::check(contradictions(document, value, left, config))?;
    }
    let says = |name| node.child(name).is_some() || !fields::<A>().iter().any(|field| field == name);
    Ok(value.filter(|_| says("image_size") && says("channels")))
}

/// What is wrong with the configuration in `document`, as far as the file tells.
pub(crate) fn config_mistakes<A: Architecture>(document: &Document) -> Vec<ExperimentError> {
    match read_config::<A>(document, &[], None) {
        Ok((_, Reading { errors, .. })) => errors,
        Err(errors) => errors.into_iter().collect(),
    }
}

/// Checks that so many `values` can be left of a dense network of `config`, before that takes memory.
///
/// # Errors
///
/// That it would have far more. Nothing is known of architectures that do not implement [`Architecture::values`].
pub(super) fn is_of_its_size<A: Architecture>(config: &A::Config, values: usize) -> Result<(), String> {
    let most = (values as f64 * MOST_CUT).max(NEVER_TOO_MANY);
    match A::values(config).filter(|claimed| *claimed > most) {
        Some(claimed) => {
            Err(format!("it has {values} values, and the dense network of its metadata {claimed:.1e}"))
        }
        None => Ok(()),
    }
}

/// The configuration of the network that a run `left`.
fn config_of<A: Architecture>(
    document: &Document,
    left: &LeftNetwork,
) -> Result<A::Config, ExperimentErrors> {
    let unfit = |wrong: String| {
        pretrained_error(document, &WeightsError { path: left.path.clone(), wrong, help: None })
    };
    let config = serde_json::from_value(left.config.clone())
        .map_err(|error| unfit(format!("has a configuration that this version does not know: {error}")))?;
    is_of_its_size::<A>(&config, left.values)
        .map_err(|reason| unfit(format!("does not fit the network that it describes: {reason}")))?;
    Ok(config)
}

/// Where `config`, that of `document`, is not that of the network that a run `left`, although neither data nor training make it differ.
fn contradictions<C: Serialize>(
    document: &Document,
    config: &C,
    left: &LeftNetwork,
    known: &C,
) -> Vec<ExperimentError> {
    let [Ok(Json::Object(here)), Ok(Json::Object(there))] = [config, known].map(serde_json::to_value) else {
        return Vec::new();
    };
    let may_differ = |field: &str| FROM_DATA.contains(&field) || IN_TRAINING.contains(&field);
    // Configurations may leave out what is as by default.
    let [of_here, of_there] =
        [&here, &there].map(|config| |field: &str| config.get(field).unwrap_or(&Json::Null));
    let fields: BTreeSet<&String> = there.keys().chain(here.keys()).collect();
    let differing = fields
        .into_iter()
        .filter(|field| !may_differ(field) && of_here(field.as_str()) != of_there(field.as_str()));
    let error = |field: &String| {
        let written = ["model", "config", field];
        let (place, what) = match document.at(&written) {
            Some(_) => (&written[..], field.as_str()),
            None => (&["model", "preset"][..], "preset"),
        };
        let [found, value] = [of_here(field), of_there(field)].map(|value| match value {
            Json::Null => "its default".to_owned(),
            value => value.to_string(),
        });
        let message =
            format!("`{field}` is {found}, but the network in `{}` has {value}", left.path.display());
        document.error(place, message, Some(format!("leave `{what}` out: it is that of the network")))
    };
    differing.flat_map(error).collect()
}

/// The configuration in `document`, as a tree and as a value. Unless the `facts` are complete, it is no mistake that a field is
/// missing, and the configuration as a whole is not judged. Without a preset, it starts from the one that is `known`.
fn read_config<A: Architecture>(
    document: &Document,
    facts: &Facts,
    known: Option<&A::Config>,
) -> Result<(Node, Reading<A::Config>), ExperimentErrors> {
    let mut found = Vec::new();
    let preset = preset::<A>(document).unwrap_or_else(|errors| {
        found.extend(errors);
        None
    });
    let complete = facts.len() == 3 && found.is_empty();
    let preset = preset.as_ref().or(known).map_or(Ok("()".to_owned()), ron::to_string).map_err(|error| {
        let message = format!("this preset cannot be written as RON: {error}");
        document.error(&["model", "preset"], message, None)
    })?;
    let fields = if facts.is_empty() { Vec::new() } else { fields::<A>() };
    let facts: Vec<_> = facts.iter().filter(|(name, _)| fields.iter().any(|field| field == name)).collect();
    let data: Vec<_> = facts.iter().map(|(name, value)| format!("{name}: {value}")).collect();
    let mut node =
        overlay(parsed("the preset", preset)?, parsed("the data", format!("({})", data.join(", ")))?);
    let written = document.at(&["model", "config"]);
    if let Some(written) = written {
        found.extend(facts.iter().filter_map(|(name, value)| contradiction(written, name, *value)));
        node = overlay(node, written.clone());
    }
    let Reading { value, errors } = read(&node);
    let is_sure =
        |error: &ExperimentError| complete || error.missing().is_none() && *error.span() != node.span;
    found.extend(errors.into_iter().filter(is_sure));
    Ok((node, Reading { value, errors: found }))
}

/// The default configuration of the architecture.
///
/// # Errors
///
/// The fields that have no default.
pub(crate) fn default<A: Architecture>() -> Result<A::Config, ExperimentErrors> {
    typed(&parsed("the default configuration", "()".to_owned())?)
}

/// The error of an architecture about a configuration, at its place in `document`.
pub(crate) fn config_error(document: &Document, error: ConfigError) -> ExperimentErrors {
    document.error(&["model", "config", error.field], error.message, None)
}

/// The preset that `document` names.
fn preset<A: Architecture>(document: &Document) -> Result<Option<A::Config>, ExperimentErrors> {
    let path = ["model", "preset"];
    let Some(Node { value: Value::String(name), .. }) = document.at(&path) else { return Ok(None) };
    let presets = A::presets();
    let names: Vec<_> = presets.iter().map(|(preset, _)| *preset).collect();
    let hint = did_you_mean(name, names.iter().copied());
    let help = match names.is_empty() {
        true => "this architecture has no presets".to_owned(),
        false => format!("presets: {}", names.join(", ")),
    };
    let found = presets.into_iter().find(|(preset, _)| preset == name);
    let unknown = || document.error(&path, format!("unknown preset `{name}`{hint}"), Some(help));
    found.map(|(_, config)| Some(config)).ok_or_else(unknown)
}

/// The tree of `text`, which reports call `name`.
fn parsed(name: &str, text: String) -> Result<Node, ExperimentErrors> {
    let source = Source::new(name, text);
    let nothing =
        || ExperimentError::new(Span::new(&source, 0, 0), "expected a configuration, found nothing");
    parse(&source, 0)?.ok_or_else(|| nothing().into())
}

/// The error when `written` sets `name` to another value than that of the data.
fn contradiction(written: &Node, name: &str, value: usize) -> Option<ExperimentError> {
    let node = written.child(name)?;
    let said: usize = typed(node).ok()?;
    (said != value).then(|| {
        ExperimentError::new(node.span.clone(), format!("`{name}` is {said}, but the data have {value}"))
            .with_help(format!("leave `{name}` out: it is taken from the data"))
    })
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
    use crate::models::{Logits, Vit};

    /// A configuration without defaults, with a rule.
    #[derive(Clone, Serialize, Deserialize, JsonSchema)]
    #[serde(try_from = "Unchecked")]
    struct Bare {
        image_size: usize,
        dim: usize,
    }

    #[derive(Deserialize, JsonSchema)]
    #[serde(deny_unknown_fields)]
    struct Unchecked {
        image_size: usize,
        dim: usize,
    }

    impl TryFrom<Unchecked> for Bare {
        type Error = &'static str;

        fn try_from(Unchecked { image_size, dim }: Unchecked) -> Result<Self, Self::Error> {
            if dim % 2 == 0 { Ok(Self { image_size, dim }) } else { Err("`dim` is odd") }
        }
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

    const FACTS: &Facts = &[("image_size", 8), ("channels", 1), ("classes", 10)];

    /// The width and image size of the configuration, if there is one, or its mistakes.
    fn told(model: &str, facts: &Facts) -> Result<Option<(usize, usize)>, Vec<String>> {
        let text = format!("(model: (architecture: \"bare\", {model}))");
        let document = Document::parse("f.ron", &text, &[]).unwrap();
        match config::<BareVit>(&document, facts, None) {
            Ok(config) => Ok(config.map(|config| (config.dim, config.image_size))),
            Err(errors) => Err(errors.iter().map(ToString::to_string).collect()),
        }
    }

    #[test]
    fn what_is_written_lies_over_the_data_and_the_data_over_the_preset() {
        for (model, expected) in [
            ("config: (dim: 64)", (64, 8)),
            ("preset: \"tiny\"", (16, 8)),
            ("preset: \"tiny\", config: Some((dim: 64, image_size: 8))", (64, 8)),
        ] {
            assert_eq!(told(model, FACTS), Ok(Some(expected)), "{model}");
        }
        let wrong = told("config: (dim: 64, image_size: 32)", FACTS).unwrap_err();
        assert_eq!(wrong, ["f.ron:1:62: `image_size` is 32, but the data have 8"]);
    }

    #[test]
    fn of_a_field_that_preset_or_data_would_say_it_is_not_told_that_it_is_missing() {
        for (model, facts, expected) in [
            ("config: (dim: 16)", FACTS, &[][..]),
            ("config: ()", FACTS, &["missing field `dim`"]),
            ("preset: \"tony\"", FACTS, &["unknown preset `tony`"]),
            ("config: (dim: 16)", &[], &[]),
            ("config: ()", &[], &[]),
            ("config: (dim: \"16\", x: 1)", &[], &["`dim`: expected a whole number", "unknown field `x`"]),
        ] {
            let wrong = told(model, facts).err().unwrap_or_default();
            assert_eq!(wrong.len(), expected.len(), "{model}: {wrong:?}");
            assert!(wrong.iter().zip(expected).all(|(told, expected)| told.contains(expected)), "{wrong:?}");
        }
        assert_eq!(told("config: (dim: 16)", &[]), Ok(None));
        assert_eq!(told("config: (dim: 16, image_size: 8)", &FACTS[..2]), Ok(Some((16, 8))));
    }

    /// A rule over several fields may hold with the values of the data.
    #[test]
    fn of_a_configuration_as_a_whole_nothing_is_told_before_the_data_are_known() {
        let odd = "config: (dim: 17, image_size: 8)";
        assert!(told(odd, &[]).is_ok());
        assert!(told(odd, FACTS).unwrap_err()[0].contains("`dim` is odd"));
    }
}
