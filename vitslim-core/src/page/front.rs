//! The Pareto front of the networks of a sweep, and their accuracy over what they cost.

use std::collections::BTreeMap;

use super::error::PageError;
use super::figure::{Axis, Download, Figure, Frame, Label, Line, Plot, Point, WIDTH, spread};
use super::network::Network;
use super::scale::{Scale, short};
use crate::report::{Measured, pareto};

const HEIGHT: f64 = 290.0;

/// Most networks of the front whose numbers stand beside them.
const NAMED: usize = 10;

/// Which of `networks` are on the Pareto front of top-1 over the cost `of` each.
pub(super) fn front(networks: &[Network], of: impl Fn(&Network) -> f64) -> Vec<bool> {
    let measured = networks
        .iter()
        .map(|network| Some(Measured { test: &network.test, cost: of(network), top1: network.top1 }));
    pareto(&measured.collect::<Vec<_>>())
}

/// Top-1 of `networks` over their MACs and over their parameters.
///
/// # Errors
///
/// When the numbers cannot be written.
pub(super) fn figures(networks: &[Network]) -> Result<Vec<Figure>, PageError> {
    if networks.is_empty() {
        return Ok(Vec::new());
    }
    let macs = figure("macs", "MACs", networks, |network| network.macs as f64)?;
    let params = figure("params", "parameters", networks, |network| network.params as f64)?;
    Ok(vec![macs, params])
}

fn figure(
    cost: &str,
    axis: &str,
    networks: &[Network],
    of: impl Fn(&Network) -> f64,
) -> Result<Figure, PageError> {
    let costs: Vec<(f64, f64)> = networks.iter().map(|network| (of(network), network.top1)).collect();
    let front = front(networks, &of);
    let frame = Frame::inside([WIDTH, HEIGHT], [58.0, 12.0, 14.0, 44.0]);
    let x = Scale::around(costs.iter().map(|(cost, _)| *cost), frame.across());
    let y = Scale::around(costs.iter().map(|(_, top1)| *top1), frame.up());
    let at = |(cost, top1): &(f64, f64)| (x.at(*cost), y.at(*top1));
    // A front for the networks that were measured on the same images.
    let mut fronts: BTreeMap<&str, Vec<(f64, f64)>> = BTreeMap::new();
    for ((network, place), _) in networks.iter().zip(&costs).zip(&front).filter(|(_, is_best)| **is_best) {
        fronts.entry(&network.test).or_default().push(at(place));
    }
    let line = |mut places: Vec<(f64, f64)>| {
        places.sort_by(|a, b| a.0.total_cmp(&b.0));
        Line::new("mark".to_owned(), "Pareto front".to_owned(), &places)
    };
    let lines = fronts.into_values().map(line).collect();
    let point = |((network, place), is_best): ((&Network, &(f64, f64)), &bool)| {
        let (x, y) = at(place);
        let colour = if *is_best { "mark" } else { "faint" }.to_owned();
        let name = format!(
            "{}. {} of {}: top-1 {:.4}, {cost} {}",
            network.number,
            network.label,
            network.trial,
            network.top1,
            short(place.0)
        );
        Point { colour, is_hollow: false, x, y, name }
    };
    let points: Vec<Point> = networks.iter().zip(&costs).zip(&front).map(point).collect();
    let named = networks.iter().zip(&points).filter(|(_, point)| point.colour == "mark").take(NAMED);
    let label = |(network, point): (&Network, &Point)| Label {
        colour: "mark".to_owned(),
        x: point.x - 8.0,
        y: point.y - 4.0,
        anchor: "end",
        text: network.number.to_string(),
    };
    let mut labels: Vec<Label> = named.map(label).collect();
    spread(&mut labels, frame);
    let rows = networks.iter().zip(&costs).zip(&front).map(|((network, (cost, top1)), is_best)| {
        let Network { trial, label, .. } = network;
        [trial.clone(), label.clone(), cost.to_string(), top1.to_string(), is_best.to_string()]
    });
    let data = Download::csv(&format!("front-{cost}"), ["trial", "network", cost, "top1", "front"], rows)?;
    let told = points.iter().filter(|point| point.colour == "mark").map(|point| point.name.clone());
    Ok(Figure {
        title: format!("Accuracy over {axis}"),
        caption: "The coloured networks are on the Pareto front of those that were measured on the same images; their numbers are those \
                  of the table."
            .to_owned(),
        plot: Plot {
            width: WIDTH,
            height: HEIGHT,
            text: format!("Pareto front of top-1 over {axis}: {}", told.collect::<Vec<_>>().join("; ")),
            frame,
            x: Axis { label: axis.to_owned(), ticks: x.ticks(6), is_grid: false },
            y: Axis { label: "top-1".to_owned(), ticks: y.ticks(7), is_grid: true },
            lines,
            points,
            labels,
            ..Plot::default()
        },
        data,
    })
}
