//! The description of an architecture without an experiment.

use burn::tensor::Device;

use super::pattern::patterns;
use crate::models::Architecture;
use crate::panics::attempt;
use crate::report::{ListedArchitecture, ListedDimension};
use crate::run::default;
use crate::slim::describe;

/// The architecture `A`, registered as `name`: its presets, and the dimensions of its default configuration or, if that has
/// no default, of its first preset.
pub fn listed<A: Architecture>(name: &str) -> ListedArchitecture {
    let presets = A::presets();
    let (of, config) = match (default::<A>(), presets.first()) {
        (Ok(config), _) => ("the default configuration", Ok(config)),
        (Err(_), Some((preset, config))) => (*preset, Ok(config.clone())),
        (Err(errors), None) => (
            "no configuration",
            Err(format!("its configuration has no default: {}", errors.first().message())),
        ),
    };
    let mut listed = ListedArchitecture {
        name: name.to_owned(),
        presets: presets.iter().map(|(preset, _)| (*preset).to_owned()).collect(),
        of: of.to_owned(),
        dimensions: Vec::new(),
        trouble: None,
    };
    match config.and_then(|config| dimensions::<A>(&config)) {
        Ok(dimensions) => listed.dimensions = dimensions,
        Err(trouble) => listed.trouble = Some(trouble),
    }
    listed
}

fn dimensions<A: Architecture>(config: &A::Config) -> Result<Vec<ListedDimension>, String> {
    let model = attempt(|| A::init(config, &Device::flex()))?.map_err(|error| error.to_string())?;
    let dimensions = describe(&model).map_err(|error| error.to_string())?;
    let listed = |(path, members): (String, Vec<usize>)| {
        let units = members.iter().map(|&index| dimensions[index].units());
        ListedDimension {
            name: dimensions[members[0]].name().to_owned(),
            of_tokens: dimensions[members[0]].is_tokens(),
            of_branch: dimensions[members[0]].is_branch(),
            places: members.len(),
            least_units: units.clone().min().unwrap_or(0),
            most_units: units.max().unwrap_or(0),
            path,
        }
    };
    Ok(patterns(&dimensions).into_iter().map(listed).collect())
}
