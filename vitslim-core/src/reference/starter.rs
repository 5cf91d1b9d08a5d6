//! A file to start from: what `vitslim new` writes.

use std::fmt::Write;

use schemars::Schema;

use super::read::{Field, Reference};
use crate::report::{ListedArchitecture, ListedDimension};

/// Random images, until there are data.
const IMAGES: usize = 64;

/// The text of an experiment called `name` with the architecture `listed`, whose configuration has the schema `config`. It runs
/// as it is, on random images.
pub fn starter(name: &str, listed: &ListedArchitecture, config: &Schema) -> String {
    let reference = Reference::new(config, []);
    let fields = reference.sections.first().map(|section| section.fields.as_slice()).unwrap_or_default();
    let architecture = &listed.name;
    let mut text = format!(
        "// An experiment. `vitslim schema` lists every field, `vitslim check` and `vitslim plan` say what a run will do, and\n\
         // `vitslim run` does it.\n\
         Experiment(\n    name: {name:?},\n    seed: 0, // or `Seeds(3)`, for three trials\n    model: (\n        architecture: {architecture:?},\n"
    );
    if let Some((first, more)) = listed.presets.split_first() {
        let others = if more.is_empty() { String::new() } else { format!(" // or {}", quoted(more)) };
        let _ = writeln!(text, "        preset: {first:?},{others}");
    }
    text.push_str("        // Overrides the preset. What is left out has its default.\n        config: (\n");
    for field in fields.iter().filter(|field| field.default.as_deref() != Some("the data's")) {
        let default = field.default.as_deref().unwrap_or("...").replace('`', "");
        let _ = writeln!(text, "            // {}: {default}, // {}", field.name, field.meaning);
    }
    let size = |name: &str, usual: &str| default_of(fields, name).unwrap_or_else(|| usual.to_owned());
    let _ = write!(
        text,
        "        ),\n    ),\n    // Random images, to try it. Yours: `ImageFolder(path: \"...\")`, `Cifar10(path: \"...\")`, `Digits`, ...\n    \
         data: Random(image_size: {}, channels: {}, classes: 10, images: {IMAGES}),\n",
        size("image_size", "224"),
        size("channels", "3"),
    );
    text.push_str(
        "    pretrain: (\n        epochs: 1,\n        batch: 16,\n        optimizer: AdamW(lr: 1e-3),\n        \
         schedule: Cosine(warmup_epochs: 0),\n    ),\n    search: (\n        epochs: 1,\n        batch: 16,\n        \
         optimizer: AdamW(lr: 5e-4),\n        masks: (lr: 1e-2),\n        // The weight of the penalty that makes each dimension small, \
         for example `Sweep([1e-5, 1e-4])`.\n        dimensions: {\n",
    );
    let names = names(listed);
    for dimension @ ListedDimension { name, of_tokens, .. } in &names {
        let comment = if is_usual(dimension) { "" } else { "// " };
        let how = if *of_tokens { "(weight: 1e-4, activation: Tanh, init: 3.0)" } else { "(weight: 1e-4)" };
        let _ = writeln!(text, "            {comment}{name:?}: {how},");
    }
    text.push_str("        },\n    ),\n    // The share that is kept of each dimension. Each budget gives a sub-network.\n    budgets: [\n");
    for share in [0.7, 0.5] {
        let kept = names.iter().filter(|dimension| is_usual(dimension));
        let kept: Vec<String> = kept.map(|of| format!("{:?}: {share}", of.name)).collect();
        let _ = writeln!(text, "        Share({{ {} }}),", kept.join(", "));
    }
    text.push_str("    ],\n    retrain: (epochs: 1, batch: 16, optimizer: AdamW(lr: 5e-4)),\n)\n");
    text
}

/// The first dimension of each name.
fn names(listed: &ListedArchitecture) -> Vec<&ListedDimension> {
    let mut names: Vec<&ListedDimension> = Vec::new();
    for dimension in &listed.dimensions {
        if !names.iter().any(|known| known.name == dimension.name) {
            names.push(dimension);
        }
    }
    names
}

/// Few search the width, which cuts everything, or branches.
fn is_usual(dimension: &ListedDimension) -> bool {
    dimension.name != "width" && !dimension.of_branch
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("{name:?}")).collect::<Vec<_>>().join(", ")
}

/// The default of a configuration's field in the code.
fn default_of(fields: &[Field], name: &str) -> Option<String> {
    fields.iter().find(|field| field.name == name)?.coded.clone()
}
