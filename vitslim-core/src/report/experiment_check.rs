//! The report of `vitslim check`, as a table and as JSON.

use comfy_table::CellAlignment;
use serde::Serialize;

use super::checked_parameters::CheckedParameters;
use super::checked_teacher::CheckedTeacher;
use super::reason::Reason;
use super::table::{SHOWN, lines, plain, push, short};
use crate::terminal::counted;

/// Classes that are named in the table.
const NAMED: usize = 20;

/// What was found about an experiment, its network and its data, before anything is trained.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ExperimentCheck {
    /// Name of the experiment.
    pub name: String,
    /// Name of the architecture.
    pub architecture: String,
    /// Name of its preset.
    pub preset: Option<String>,
    /// Parameters of the dense network.
    pub params: Option<usize>,
    /// Multiply-adds of the dense network for one image.
    pub macs: Option<u64>,
    /// Channels, height and width of an image.
    pub image: Option<[usize; 3]>,
    /// The dataset, if it can be read.
    pub data: Option<CheckedData>,
    /// The trained weights that it starts from, if it does and they fit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<CheckedWeights>,
    /// What teaches its stages.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub teachers: Vec<CheckedTeacher>,
    /// Every dimension, in the order of the traversal.
    pub dimensions: Vec<CheckedDimension>,
    /// Borrowed dimensions that no enclosing struct declares, so that they are not prunable.
    pub undeclared: Vec<String>,
    /// Number of mask sets for which the hard-masked and the sliced network agree.
    pub plans: usize,
    /// Largest difference of their logits over the largest logit, in f64.
    pub largest_difference: f64,
    /// Whether the mask of every dimension gets a gradient.
    pub gradients: bool,
    /// How parameters are trained, if the network can be.
    pub parameters: Option<CheckedParameters>,
    /// What a user should know.
    pub notes: Vec<String>,
    /// Why the experiment cannot be run; empty if it can.
    pub reasons: Vec<Reason>,
}

/// A dataset that can be read.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedData {
    /// Channels, height and width of an image.
    pub image: [usize; 3],
    /// Number of classes.
    pub classes: usize,
    /// Names of the classes, in the order of their labels.
    pub class_names: Vec<String>,
    /// Fingerprints of the images.
    pub sha256: Fingerprints,
    /// Number of training images.
    pub train: usize,
    /// Number of validation images.
    pub held_out: usize,
    /// Number of test images.
    pub test: usize,
    /// What a user should know about it.
    pub notes: Vec<String>,
}

/// A file of trained weights that fits the network.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedWeights {
    /// SHA-256 of its content, as in a run's `data.json`.
    pub sha256: String,
    /// Whose names its tensors have.
    pub family: &'static str,
    /// Number of its tensors that are used.
    pub used: usize,
    /// Number of its tensors.
    pub count: usize,
    /// What was adapted, left as initialised or not used.
    pub notes: Vec<String>,
}

/// SHA-256 over the images and the classes that each split is drawn from, as in a run's `data.json`.
#[derive(Clone, Debug, Serialize)]
pub struct Fingerprints {
    /// Of the training split.
    pub train: String,
    /// Of the validation split; that of the training split, if it is held out of the same images.
    pub held_out: String,
    /// Of the test split.
    pub test: String,
}

/// A dimension and the cost of its units.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedDimension {
    /// Path in the model: `blocks.3.attn.head_dim`.
    pub path: String,
    /// The path with `*` for every number, which all dimensions of one annotation share.
    pub pattern: String,
    /// Units of each group.
    pub groups: Vec<usize>,
    /// Number of units.
    pub units: usize,
    /// Whether its units are tokens.
    pub tokens: bool,
    /// Whether its only unit is a residual branch.
    pub branch: bool,
    /// Parameters of one unit.
    pub params_per_unit: usize,
    /// Multiply-adds of its first unit for one image; for a token, from its gate on.
    pub macs_per_unit: Option<u64>,
    /// Whether the experiment searches it.
    pub searched: bool,
    /// The layers that carry it; of a branch, those at its end.
    pub carriers: Vec<CheckedCarrier>,
}

/// A layer that carries a dimension.
#[derive(Clone, Debug, Serialize)]
pub struct CheckedCarrier {
    /// Path of the layer.
    pub layer: String,
    /// The path with `*` for every number.
    pub pattern: String,
    /// `input`, `output` or `axis(2)`.
    pub side: String,
    /// Features of the side that belong to one unit.
    pub features_per_unit: usize,
    /// Whether the mask multiplies there.
    pub gated: bool,
}

/// `paths` of which no two differ only in numbers, each with how many others do.
fn alike(paths: &[String]) -> Vec<(&str, usize)> {
    let is_number = |step: &str| step.parse::<usize>().is_ok();
    let are_alike = |a: &str, b: &str| {
        let numbers = |(a, b): (&str, &str)| a == b || is_number(a) && is_number(b);
        a.split('.').count() == b.split('.').count() && a.split('.').zip(b.split('.')).all(numbers)
    };
    let mut found: Vec<(&str, usize)> = Vec::new();
    for path in paths {
        match found.iter_mut().find(|(known, _)| are_alike(known, path)) {
            Some((_, others)) => *others += 1,
            None => found.push((path, 0)),
        }
    }
    found
}

impl ExperimentCheck {
    /// A table with one row per pattern of dimensions, the layers of each, and what was proved.
    pub fn table(&self) -> String {
        let mut text = self.heading();
        if !self.dimensions.is_empty() {
            text += "\n";
            text += &self.dimension_table();
            text.push('\n');
            text += &self.layers();
        }
        for (path, others) in alike(&self.undeclared) {
            let name = path.rsplit('.').next().unwrap_or(path);
            let others = if others > 0 { format!(" (and {others} like it)") } else { String::new() };
            push(
                &mut text,
                &format!(
                    "{path}{others} is borrowed, but no enclosing struct declares it: it is not prunable. If it has another name in one \
                     of them, write there `#[slim({name} = its_name)]` on the field that leads here"
                ),
            );
        }
        text.push('\n');
        for line in self.proved() {
            push(&mut text, &line);
        }
        text
    }

    fn heading(&self) -> String {
        let preset = self.preset.as_ref().map_or_else(String::new, |preset| format!(" {preset}"));
        let mut heading = format!("{}: {}{preset}", self.name, self.architecture);
        if let Some(params) = self.params {
            heading += &format!(", {} parameters", short(params as u64));
        }
        if let (Some(macs), Some([channels, height, width])) = (self.macs, self.image) {
            heading += &format!(", {} MACs for an image of {channels} x {height} x {width}", short(macs));
        }
        let mut text = String::new();
        push(&mut text, &heading);
        text
    }

    fn dimension_table(&self) -> String {
        let mut table = plain();
        table.set_header([
            "\ndimension",
            "\nplaces",
            "\nunits",
            "params\na unit",
            "MACs\na unit",
            "\nsearched",
        ]);
        for (pattern, rows) in self.patterns() {
            let range = |values: Vec<u64>| match (values.iter().min(), values.iter().max()) {
                (Some(least), Some(most)) if least == most => short(*least),
                (Some(least), Some(most)) => format!("{} - {}", short(*least), short(*most)),
                _ => "-".to_owned(),
            };
            let first = rows[0];
            let units = match rows.iter().all(|row| row.groups == first.groups) {
                true if first.groups.len() > 1
                    && first.groups.iter().all(|size| *size == first.groups[0]) =>
                {
                    format!("{} x {}", first.groups.len(), first.groups[0])
                }
                _ => range(rows.iter().map(|row| row.units as u64).collect()),
            };
            let searched = rows.iter().filter(|row| row.searched).count();
            table.add_row([
                pattern,
                rows.len().to_string(),
                units,
                range(rows.iter().map(|row| row.params_per_unit as u64).collect()),
                range(rows.iter().filter_map(|row| row.macs_per_unit).collect()),
                match searched {
                    0 => "-".to_owned(),
                    all if all == rows.len() => "yes".to_owned(),
                    some => format!("{some}"),
                },
            ]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        lines(&mut table)
    }

    /// The dimensions of each pattern, in the order of its first.
    fn patterns(&self) -> Vec<(String, Vec<&CheckedDimension>)> {
        let mut patterns: Vec<(String, Vec<&CheckedDimension>)> = Vec::new();
        for dimension in &self.dimensions {
            let pattern = &dimension.pattern;
            match patterns.iter_mut().find(|(known, _)| known == pattern) {
                Some((_, rows)) => rows.push(dimension),
                None => patterns.push((pattern.clone(), vec![dimension])),
            }
        }
        patterns
    }

    /// One line per pattern: `blocks.*.mlp.hidden lies along blocks.*.mlp.fc1 (output), blocks.*.mlp.fc2 (input, gate)`.
    fn layers(&self) -> String {
        let mut text = String::new();
        for (pattern, rows) in self.patterns() {
            if rows[0].tokens {
                push(&mut text, &format!("{pattern} gates tokens"));
                continue;
            }
            let is_branch = rows[0].branch;
            let mut places: Vec<String> = Vec::new();
            for carrier in rows.iter().flat_map(|row| &row.carriers) {
                let layer = &carrier.pattern;
                let times = match carrier.features_per_unit {
                    1 => String::new(),
                    features => format!(", {features} a unit"),
                };
                let gate = if carrier.gated { ", gate" } else { "" };
                let place = match is_branch {
                    true => layer.clone(),
                    false => format!("{layer} ({}{times}{gate})", carrier.side),
                };
                if !places.contains(&place) {
                    places.push(place);
                }
            }
            let verb = if is_branch { "ends at" } else { "lies along" };
            push(&mut text, &format!("{pattern} {verb} {}", places.join(", ")));
        }
        text
    }

    fn proved(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if let Some(data) = &self.data {
            let [channels, height, width] = data.image;
            lines.push(format!(
                "data: {} images to train, {} to validate, {} to test, {channels} x {height} x {width}, {}",
                data.train,
                data.held_out,
                data.test,
                counted(data.classes, "class", "classes")
            ));
            let names = &data.class_names;
            let more = if names.len() > NAMED {
                format!(" and {} more", names.len() - NAMED)
            } else {
                String::new()
            };
            let named = names[..names.len().min(NAMED)].join(", ");
            lines.push(format!("classes, in the order of their labels: {named}{more}"));
            let Fingerprints { train, held_out, test } = &data.sha256;
            let [train, held_out, test] =
                [train, held_out, test].map(|sha256| &sha256[..SHOWN.min(sha256.len())]);
            lines.push(format!("sha256: {train} to train, {held_out} to validate, {test} to test"));
            lines.extend(data.notes.iter().map(|note| format!("data: {note}")));
        }
        if let Some(CheckedWeights { sha256, family, used, count, notes }) = &self.pretrained {
            let sha256 = &sha256[..SHOWN.min(sha256.len())];
            lines.push(format!(
                "pretrained: {used} of {count} tensors, by the names of {family}; sha256: {sha256}"
            ));
            lines.extend(notes.iter().map(|note| format!("pretrained: {note}")));
        }
        lines.extend(self.teachers.iter().flat_map(CheckedTeacher::told));
        if self.data.is_none() && self.plans > 0 {
            lines.push(
                "without its data, the network is checked as its configuration describes it".to_owned(),
            );
        } else if self.data.is_none() && self.params.is_none() {
            lines.push("without its data, the network is not checked".to_owned());
        }
        if self.plans > 0 {
            lines.push(format!(
                "masked and sliced network are the same for {}: they differ by at most {:.0e} of the largest logit",
                match self.plans {
                    1 => "one mask set".to_owned(),
                    plans => format!("{plans} mask sets"),
                },
                self.largest_difference
            ));
        }
        if self.gradients {
            lines.push("the mask of every dimension gets a gradient".to_owned());
        }
        lines.extend(self.parameters.iter().flat_map(CheckedParameters::told));
        lines.extend(self.notes.iter().map(|note| format!("note: {note}")));
        if self.reasons.is_empty() {
            lines.push("fit to be run".to_owned());
        }
        lines
    }
}
