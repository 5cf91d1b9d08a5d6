//! The architectures that an experiment can name, as a list and as JSON.

use serde::Serialize;

use super::table::push;

/// The registered architectures.
#[derive(Clone, Debug, Serialize)]
pub struct Architectures {
    /// In the order of registration.
    pub architectures: Vec<ListedArchitecture>,
}

/// An architecture, its presets and its dimensions.
#[derive(Clone, Debug, Serialize)]
pub struct ListedArchitecture {
    /// The name that experiments use.
    pub name: String,
    /// Names of its presets.
    pub presets: Vec<String>,
    /// The configuration that the dimensions are of: `the default configuration`, or the name of a preset.
    pub of: String,
    /// The dimensions of that configuration, grouped by pattern.
    pub dimensions: Vec<ListedDimension>,
    /// Why there are none, if there is a reason.
    pub trouble: Option<String>,
}

/// Dimensions whose paths differ only in numbers.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedDimension {
    /// The name that experiments use.
    pub name: String,
    /// Its path, with `*` for every number.
    pub path: String,
    /// Whether its units are token positions.
    pub of_tokens: bool,
    /// Whether its only unit is a residual branch.
    pub of_branch: bool,
    /// Number of dimensions with this pattern.
    pub places: usize,
    /// Units of the smallest.
    pub least_units: usize,
    /// Units of the largest.
    pub most_units: usize,
}

impl Architectures {
    /// A text with an entry for each architecture.
    pub fn list(&self) -> String {
        self.architectures.iter().map(ListedArchitecture::entry).collect::<Vec<_>>().join("\n")
    }
}

impl ListedArchitecture {
    fn entry(&self) -> String {
        let mut text = String::new();
        push(&mut text, &self.name);
        if !self.presets.is_empty() {
            push(&mut text, &format!("  presets: {}", self.presets.join(", ")));
        }
        if let Some(trouble) = &self.trouble {
            push(&mut text, &format!("  {trouble}"));
        }
        if !self.dimensions.is_empty() {
            push(&mut text, &format!("  dimensions of {}:", self.of));
        }
        for ListedDimension { path, places, least_units, most_units, .. } in &self.dimensions {
            let units = match (least_units, most_units) {
                (1, 1) => "1 unit".to_owned(),
                (least, most) if least == most => format!("{most} units"),
                (least, most) => format!("{least} to {most} units"),
            };
            let places = if *places == 1 { "once".to_owned() } else { format!("in {places} places") };
            push(&mut text, &format!("    {path}: {units}, {places}"));
        }
        text
    }
}
