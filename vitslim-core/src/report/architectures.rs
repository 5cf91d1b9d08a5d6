//! The architectures that experiments may name, as a list and as JSON.

use serde::Serialize;

use super::table::push;

/// The registered architectures.
#[derive(Clone, Debug, Serialize)]
pub struct Architectures {
    /// In the order in which they were registered.
    pub architectures: Vec<ListedArchitecture>,
}

/// An architecture, its presets and its dimensions.
#[derive(Clone, Debug, Serialize)]
pub struct ListedArchitecture {
    /// The name by which experiments call it.
    pub name: String,
    /// Names of its presets.
    pub presets: Vec<String>,
    /// Of which configuration the dimensions are: `the default configuration`, or a preset's name.
    pub of: String,
    /// The dimensions of that configuration, those of one struct together.
    pub dimensions: Vec<ListedDimension>,
    /// Why there are none to be told.
    pub trouble: Option<String>,
}

/// The dimensions of one struct.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ListedDimension {
    /// The name by which experiments call it.
    pub name: String,
    /// Its path, with `*` for every number.
    pub path: String,
    /// Whether its units are token positions.
    pub of_tokens: bool,
    /// In how many places it is.
    pub places: usize,
    /// The fewest units that it has in one.
    pub least_units: usize,
    /// The most.
    pub most_units: usize,
}

impl Architectures {
    /// An entry for each.
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
            let units = match least_units == most_units {
                true => most_units.to_string(),
                false => format!("{least_units} to {most_units}"),
            };
            let places = if *places == 1 { "once".to_owned() } else { format!("in {places} places") };
            push(&mut text, &format!("    {path}: {units} units, {places}"));
        }
        text
    }
}
