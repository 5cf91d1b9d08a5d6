//! From types to their JSON Schema, and from that to the sections of the reference.

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use super::language;
use crate::experiment::Experiment;

/// The JSON Schema of an experiment, for editors.
pub fn json_schema() -> Schema {
    let mut schema = SchemaGenerator::default().into_root_schema_for::<Experiment>();
    let base = json!({
        "description": language::BASE,
        "anyOf": [{ "type": "string" }, { "type": "array", "items": { "type": "string" } }],
    });
    if let Some(Value::Object(properties)) = schema.get_mut("properties") {
        properties.insert("base".to_owned(), base);
    }
    schema
}

/// The JSON Schema of an architecture's configuration.
pub fn config_schema<C: JsonSchema>() -> Schema {
    SchemaGenerator::default().into_root_schema_for::<C>()
}

/// A struct with its fields, or an enum with its variants.
#[derive(Clone, Debug, PartialEq)]
pub struct Section {
    /// `Experiment`, `Optimizer`, or `Configuration of vit`.
    pub title: String,
    /// Its doc comment, on one line.
    pub meaning: String,
    /// Empty for an enum.
    pub fields: Vec<Field>,
    /// Empty for a struct.
    pub variants: Vec<Variant>,
}

/// A field, and what may be written as its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Field {
    /// As in the file: `warmup_epochs`.
    pub name: String,
    /// The kind of value: `whole number`, or the title of a section.
    pub kind: String,
    /// `pixels`, `epochs`, where the value counts something.
    pub unit: Option<String>,
    /// The value of a field that is left out; `None` if it must be written.
    pub default: Option<String>,
    /// The default in the code, also where the data override it.
    pub(super) coded: Option<String>,
    /// The bounds of a number: `at least 1`.
    pub range: Option<String>,
    /// Its doc comment, on one line.
    pub meaning: String,
}

/// A variant of an enum.
#[derive(Clone, Debug, PartialEq)]
pub struct Variant {
    /// As in the file: `Digits`, `Idx(...)`.
    pub form: String,
    /// Its doc comment, on one line.
    pub meaning: String,
    /// The fields in its parentheses.
    pub fields: Vec<Field>,
}

/// The reference: sections in the order in which they are first mentioned.
#[derive(Clone, Debug, Default)]
pub struct Reference {
    /// Those of the experiment.
    pub sections: Vec<Section>,
    /// Those of the configurations of architectures.
    pub configurations: Vec<Section>,
}

impl Reference {
    /// The reference of the schema `experiment`, and of the configurations of `architectures`.
    pub fn new<'a>(experiment: &Schema, architectures: impl IntoIterator<Item = (&'a str, Schema)>) -> Self {
        let mut reader = Reader { defs: definitions(experiment), told: Vec::new(), sections: Vec::new() };
        reader.section("Experiment", experiment.as_value());
        let sections = reader.sections;
        let configurations = architectures.into_iter().flat_map(|(name, schema)| {
            let mut reader = Reader { defs: definitions(&schema), told: Vec::new(), sections: Vec::new() };
            reader.section(&format!("Configuration of {name}"), schema.as_value());
            reader.sections
        });
        Self { sections, configurations: configurations.collect() }
    }
}

fn definitions(schema: &Schema) -> Map<String, Value> {
    schema.get("$defs").and_then(Value::as_object).cloned().unwrap_or_default()
}

struct Reader {
    defs: Map<String, Value>,
    /// Definitions that have a section already.
    told: Vec<String>,
    sections: Vec<Section>,
}

impl Reader {
    /// Adds the section of `schema`, and those of the definitions that it mentions.
    fn section(&mut self, title: &str, schema: &Value) {
        let place = self.sections.len();
        self.sections.push(Section {
            title: title.to_owned(),
            meaning: meaning(schema),
            fields: Vec::new(),
            variants: Vec::new(),
        });
        let fields = self.fields(schema);
        let variants = self.variants(schema);
        self.sections[place].fields = fields;
        self.sections[place].variants = variants;
        let mut mentioned = Vec::new();
        references(schema, &mut mentioned);
        for name in mentioned {
            let Some(definition) = self.defs.get(&name).cloned() else { continue };
            if has_section(&definition) && !self.told.contains(&name) {
                self.told.push(name.clone());
                self.section(&name, &definition);
            }
        }
    }

    fn fields(&self, schema: &Value) -> Vec<Field> {
        let required: Vec<&str> =
            schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        let properties = schema["properties"].as_object().into_iter().flatten();
        properties.map(|(name, field)| self.field(name, field, required.contains(&name.as_str()))).collect()
    }

    fn field(&self, name: &str, schema: &Value, required: bool) -> Field {
        let meaning = meaning(schema);
        let default = match (required, &schema["default"]) {
            (true, _) => None,
            // The data override the default in the code.
            _ if meaning.contains("Defaults to that of the data.") => Some("the data's".to_owned()),
            (false, default) => Some(ron(default)),
        };
        Field {
            name: name.to_owned(),
            kind: self.kind(schema),
            unit: schema["unit"].as_str().map(str::to_owned),
            default,
            coded: (!schema["default"].is_null()).then(|| plain(&schema["default"])),
            range: self.range(schema),
            meaning,
        }
    }

    /// The kind of value that is written.
    fn kind(&self, schema: &Value) -> String {
        if let Some(name) = reference(schema) {
            return match self.defs.get(name) {
                Some(definition) if has_section(definition) => name.to_owned(),
                Some(definition) => self.kind(definition),
                None => name.to_owned(),
            };
        }
        if let Some(options) = schema["anyOf"].as_array() {
            let kinds = options.iter().map(|option| self.kind(option));
            return kinds.collect::<Vec<_>>().join(" or ");
        }
        let one = |kind: &str| match kind {
            "integer" => "whole number".to_owned(),
            "boolean" => "`true` or `false`".to_owned(),
            "null" => "`None`".to_owned(),
            "array" => format!("list of {}", plural(&self.kind(&schema["items"]))),
            "object" if schema["additionalProperties"].is_object() => {
                format!("map of names to {}", self.kind(&schema["additionalProperties"]))
            }
            "object" => "record".to_owned(),
            "string" => "text".to_owned(),
            other => other.to_owned(),
        };
        match &schema["type"] {
            Value::String(kind) => one(kind),
            Value::Array(kinds) => {
                kinds.iter().filter_map(Value::as_str).map(one).collect::<Vec<_>>().join(" or ")
            }
            _ => "as the architecture says".to_owned(),
        }
    }

    fn range(&self, schema: &Value) -> Option<String> {
        if let Some(name) = reference(schema) {
            return self.range(self.defs.get(name).filter(|definition| !has_section(definition))?);
        }
        if let Some(options) = schema["anyOf"].as_array() {
            return options.iter().find_map(|option| self.range(option));
        }
        if schema["additionalProperties"].is_object() {
            return self.range(&schema["additionalProperties"]);
        }
        let bounds = [
            ("exclusiveMinimum", "greater than"),
            ("minimum", "at least"),
            ("exclusiveMaximum", "less than"),
            ("maximum", "at most"),
        ];
        let told = bounds.iter().filter_map(|(key, words)| {
            let bound = schema[*key].as_f64()?;
            Some(format!("{words} {bound}"))
        });
        let told: Vec<String> = told.collect();
        (!told.is_empty()).then(|| told.join(", "))
    }

    fn variants(&self, schema: &Value) -> Vec<Variant> {
        let options = schema["oneOf"].as_array().into_iter().flatten();
        let unit = |name: &Value| Variant {
            form: name.as_str().unwrap_or_default().to_owned(),
            meaning: String::new(),
            fields: Vec::new(),
        };
        let plain = schema["enum"].as_array().into_iter().flatten().map(unit);
        plain.chain(options.flat_map(|option| self.variant(option))).collect()
    }

    fn variant(&self, option: &Value) -> Vec<Variant> {
        let described = |form: String, fields| Variant { form, meaning: meaning(option), fields };
        if let Some(name) = option["const"].as_str() {
            return vec![described(name.to_owned(), Vec::new())];
        }
        if let Some(names) = option["enum"].as_array() {
            let names = names.iter().filter_map(Value::as_str);
            return names.map(|name| described(name.to_owned(), Vec::new())).collect();
        }
        let properties = option["properties"].as_object().into_iter().flatten();
        properties
            .map(|(name, content)| match content["properties"].is_object() {
                true => described(format!("{name}(...)"), self.fields(content)),
                false => described(format!("{name}({})", self.kind(content)), Vec::new()),
            })
            .collect()
    }
}

/// The definition that a schema stands for.
fn reference(schema: &Value) -> Option<&str> {
    schema["$ref"].as_str()?.strip_prefix("#/$defs/")
}

/// Names of the definitions that `schema` mentions, in order.
fn references(schema: &Value, found: &mut Vec<String>) {
    found.extend(reference(schema).map(str::to_owned));
    match schema {
        Value::Object(entries) => {
            let inner = entries.iter().filter(|(key, _)| *key != "$defs");
            inner.for_each(|(_, value)| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        _ => {}
    }
}

/// Whether a definition is more than a kind of value.
fn has_section(definition: &Value) -> bool {
    ["properties", "oneOf", "enum"].iter().any(|key| !definition[*key].is_null())
}

/// The doc comment, on one line.
fn meaning(schema: &Value) -> String {
    let text = schema["description"].as_str().unwrap_or_default();
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    // The links of rustdoc lead nowhere outside of it.
    let mut plain = String::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("](") {
        plain.push_str(&before.replacen('[', "", 1));
        rest = after.split_once(')').map_or("", |(_, rest)| rest);
    }
    plain.push_str(rest);
    plain.replace("[`", "`").replace("`]", "`")
}

fn plural(kind: &str) -> String {
    match kind {
        "text" => "texts".to_owned(),
        "whole number" => "whole numbers".to_owned(),
        "number" => "numbers".to_owned(),
        other => format!("`{other}`"),
    }
}

/// A default as it would be written.
fn ron(value: &Value) -> String {
    match value {
        Value::Null => "`None`".to_owned(),
        Value::String(name) => format!("`{name}`"),
        Value::Object(fields) => match fields.iter().next() {
            // A variant with its fields.
            Some((name, inner)) if fields.len() == 1 && inner.is_object() => {
                format!("`{name}{}`", record(inner))
            }
            _ => format!("`{}`", record(value)),
        },
        other => format!("`{}`", plain(other)),
    }
}

fn record(fields: &Value) -> String {
    let fields = fields.as_object().into_iter().flatten();
    let written = |value: &Value| value.as_str().map_or_else(|| plain(value), str::to_owned);
    let fields: Vec<String> = fields.map(|(name, value)| format!("{name}: {}", written(value))).collect();
    format!("({})", fields.join(", "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::Null => "None".to_owned(),
        Value::Array(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Value::Object(_) => record(value),
        other => other.to_string(),
    }
}
