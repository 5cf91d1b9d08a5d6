//! Parallel coordinates: what was swept, and what came of it, a line for each network.

use super::error::PageError;
use super::figure::{Axis, Download, Figure, Frame, Label, Line, Plot};
use super::network::Network;
use super::scale::{Scale, Tick};

const HEIGHT: f64 = 300.0;

/// Pixels between two axes.
const GAP: f64 = 150.0;

/// Most characters of a value that have room there.
const LONGEST: usize = 22;

/// Most values that are named one by one.
const NAMED: usize = 10;

/// Values whose largest is so many times the smallest lie on a logarithmic axis.
const WIDE: f64 = 20.0;

/// One axis: the place of each network on it, and its labels.
struct Coordinate {
    name: String,
    places: Vec<f64>,
    ticks: Vec<Tick>,
}

/// The figure of `networks`, each with its values of the settings `swept`; none without both.
///
/// # Errors
///
/// When the numbers cannot be written.
pub(super) fn figure(swept: &[String], networks: &[Network]) -> Result<Option<Figure>, PageError> {
    if swept.is_empty() || networks.is_empty() {
        return Ok(None);
    }
    let frame =
        Frame { left: 60.0, right: 60.0 + GAP * (swept.len() + 1) as f64, top: 34.0, bottom: HEIGHT - 14.0 };
    let value = |network: &Network, index: usize| network.swept.get(index).cloned().unwrap_or_default();
    let settings = swept.iter().enumerate().map(|(index, name)| {
        let values: Vec<String> = networks.iter().map(|network| value(network, index)).collect();
        coordinate(name, &values, frame)
    });
    let results = [
        numbers("MACs", &networks.iter().map(|network| network.macs as f64).collect::<Vec<_>>(), frame),
        numbers("top-1", &networks.iter().map(|network| network.top1).collect::<Vec<_>>(), frame),
    ];
    let coordinates: Vec<Coordinate> = settings.chain(results).collect();
    let x = |index: usize| frame.left + GAP * index as f64;

    let line = |(number, network): (usize, &Network)| {
        let places =
            coordinates.iter().enumerate().map(|(index, coordinate)| (x(index), coordinate.places[number]));
        let values = swept.iter().zip(&network.swept).map(|(name, value)| format!("{name} {value}"));
        let name = format!(
            "{}. {}, {}: top-1 {:.4}",
            network.number,
            values.collect::<Vec<_>>().join(", "),
            network.label,
            network.top1
        );
        let colour = if network.is_best { "mark" } else { "faint" };
        Line::new(colour.to_owned(), name, &places.collect::<Vec<_>>())
    };
    let (best, others): (Vec<_>, Vec<_>) =
        networks.iter().enumerate().partition(|(_, network)| network.is_best);
    // The front is drawn over the others.
    let lines: Vec<Line> = others.into_iter().chain(best).map(line).collect();
    let labels = coordinates.iter().enumerate().flat_map(|(index, coordinate)| {
        coordinate.ticks.iter().map(move |tick| Label {
            colour: "ink".to_owned(),
            x: x(index) + 5.0,
            y: tick.at + 4.0,
            anchor: "start",
            text: tick.label.clone(),
        })
    });
    let rules = coordinates
        .iter()
        .enumerate()
        .map(|(index, coordinate)| Tick { at: x(index), label: coordinate.name.clone() });
    let rows = networks.iter().map(|network| {
        let values = swept.iter().zip(&network.swept).map(|(name, value)| format!("{name}={value}"));
        let values = values.collect::<Vec<_>>().join(" ");
        [
            network.trial.clone(),
            network.label.clone(),
            values,
            network.macs.to_string(),
            network.top1.to_string(),
        ]
    });
    let data = Download::csv("parallel", ["trial", "network", "swept", "macs", "top1"], rows)?;
    Ok(Some(Figure {
        title: "What differs, and what came of it".to_owned(),
        caption: "A line for each network; coloured lines are on the Pareto front.".to_owned(),
        plot: Plot {
            width: frame.right + 70.0,
            height: HEIGHT,
            text: format!(
                "Parallel coordinates of {}, MACs and top-1, a line for each network",
                swept.join(", ")
            ),
            frame: Frame { left: frame.left, right: frame.left, ..frame },
            x: Axis::default(),
            y: Axis::default(),
            rules: rules.collect(),
            labels: labels.collect(),
            lines,
            ..Plot::default()
        },
        data,
    }))
}

/// An axis of the different `values` at equal distances; of numbers in their order, and where these are many, as far apart as they are.
fn coordinate(name: &str, values: &[String], frame: Frame) -> Coordinate {
    let parsed: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
    let parsed = parsed.filter(|parsed| parsed.iter().all(|value| value.is_finite()));
    let mut distinct: Vec<&String> = Vec::new();
    for value in values {
        if !distinct.contains(&value) {
            distinct.push(value);
        }
    }
    match parsed {
        Some(parsed) if distinct.len() > NAMED => return numbers(name, &parsed, frame),
        Some(_) => {
            let number = |value: &String| value.parse().unwrap_or(f64::NAN);
            distinct.sort_by(|a, b| f64::total_cmp(&number(a), &number(b)));
        }
        None => {}
    }
    let scale = Scale::between([0.0, distinct.len().saturating_sub(1) as f64], frame.up());
    let place =
        |value: &String| scale.at(distinct.iter().position(|known| *known == value).unwrap_or(0) as f64);
    Coordinate {
        name: name.to_owned(),
        places: values.iter().map(place).collect(),
        ticks: distinct.iter().map(|value| Tick { at: place(value), label: clipped(value) }).collect(),
    }
}

/// As much of `value` as has room between two axes.
fn clipped(value: &str) -> String {
    match value.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &value[..end]),
        None => value.to_owned(),
    }
}

fn numbers(name: &str, values: &[f64], frame: Frame) -> Coordinate {
    let least = values.iter().copied().fold(f64::INFINITY, f64::min);
    let most = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let scale = match least > 0.0 && most / least >= WIDE {
        true => Scale::logarithmic([least, most], frame.up()),
        false => Scale::between([least, most], frame.up()),
    };
    Coordinate {
        name: name.to_owned(),
        places: values.iter().map(|value| scale.at(*value)).collect(),
        ticks: scale.ticks(6),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_stand_at_equal_distances_in_their_order() {
        let frame = Frame { left: 0.0, right: 0.0, top: 0.0, bottom: 100.0 };
        let places = |values: &[&str]| {
            let values: Vec<String> = values.iter().map(ToString::to_string).collect();
            coordinate("a", &values, frame).places
        };
        assert_eq!(places(&["42", "1", "5e-6"]), [0.0, 50.0, 100.0]);
        assert_eq!(places(&["b", "a", "b"]), [100.0, 0.0, 100.0]);
        assert_eq!(places(&["b"]), [100.0]);
    }

    #[test]
    fn a_long_value_ends_before_the_next_axis() {
        let frame = Frame { left: 0.0, right: 0.0, top: 0.0, bottom: 100.0 };
        let values = ["(architecture: \"vit\", config: (dim: 64))".to_owned(), "é".repeat(22)];
        let labels: Vec<_> =
            coordinate("a", &values, frame).ticks.into_iter().map(|tick| tick.label).collect();
        assert_eq!(labels, ["(architecture: \"vit\", …".to_owned(), "é".repeat(22)]);
    }
}
