//! Accuracy over what a network costs: multiply-adds, parameters, time.

use super::error::PageError;
use super::figure::{Axis, Download, Figure, Frame, Label, Line, Plot, Point, WIDTH, colour};
use super::files::Subnet;
use super::scale::{Scale, short};
use crate::report::{DenseSummary, Frontier, FrontierPoint};
use crate::run::SplitName;

const HEIGHT: f64 = 290.0;

/// What a network costs.
#[derive(Clone, Copy)]
enum Cost {
    Macs,
    Params,
    /// Time per image, over that of the dense network.
    Time,
}

impl Cost {
    const ALL: [Self; 3] = [Self::Macs, Self::Params, Self::Time];

    fn name(self) -> &'static str {
        match self {
            Self::Macs => "macs",
            Self::Params => "params",
            Self::Time => "time",
        }
    }

    fn title(self) -> &'static str {
        match self {
            Self::Macs => "Accuracy over multiply-adds",
            Self::Params => "Accuracy over parameters",
            Self::Time => "Accuracy over latency",
        }
    }

    fn axis(self) -> &'static str {
        match self {
            Self::Macs => "MACs for one image",
            Self::Params => "parameters",
            Self::Time => "time per image, dense = 1",
        }
    }

    fn caption(self) -> &'static str {
        match self {
            Self::Macs => "Multiply-adds of matrix products, convolutions and attention.",
            Self::Params => "All parameters that are left.",
            Self::Time => "Measured at a batch of 64, side by side with the dense network.",
        }
    }

    fn of_dense(self, dense: &DenseSummary) -> f64 {
        match self {
            Self::Macs => dense.macs as f64,
            Self::Params => dense.params as f64,
            Self::Time => 1.0,
        }
    }

    fn of(self, subnet: &Subnet) -> f64 {
        match self {
            Self::Macs => subnet.summary.macs as f64,
            Self::Params => subnet.summary.params as f64,
            Self::Time => 1.0 / subnet.summary.speedup,
        }
    }
}

/// A network in a figure.
struct Network {
    label: String,
    cost: f64,
    top1: f64,
    state: &'static str,
    /// The split that `top1` is on.
    split: String,
}

/// A figure for each cost, of those that are known of a sub-network or of the frontier.
///
/// # Errors
///
/// When the numbers cannot be written.
pub(super) fn figures(
    dense: Option<&DenseSummary>,
    subnets: &[Subnet],
    frontier: Option<&Frontier>,
) -> Result<Vec<Figure>, PageError> {
    let frontier = frontier.filter(|frontier| !frontier.points.is_empty());
    // The networks of the frontier are not timed.
    let is_known = |cost: &Cost| !subnets.is_empty() || (frontier.is_some() && !matches!(cost, Cost::Time));
    Cost::ALL.into_iter().filter(is_known).map(|cost| figure(cost, dense, subnets, frontier)).collect()
}

fn figure(
    cost: Cost,
    dense: Option<&DenseSummary>,
    subnets: &[Subnet],
    frontier: Option<&Frontier>,
) -> Result<Figure, PageError> {
    let network = |label: &str, cost: f64, top1: f64, state| {
        let split = SplitName::Test.name().to_owned();
        Network { label: label.to_owned(), cost, top1, state, split }
    };
    let dense = dense.map(|dense| network("dense", cost.of_dense(dense), dense.top1, "dense"));
    let sliced: Vec<Network> = subnets
        .iter()
        .map(|subnet| network(&subnet.summary.label, cost.of(subnet), subnet.summary.top1_sliced, "sliced"))
        .collect();
    let retrained: Vec<Option<Network>> = subnets
        .iter()
        .map(|subnet| {
            let top1 = subnet.summary.top1_retrained?;
            Some(network(&subnet.summary.label, cost.of(subnet), top1, "retrained"))
        })
        .collect();
    let curve: Vec<Network> = match (cost, frontier) {
        (Cost::Time, _) | (_, None) => Vec::new(),
        (_, Some(frontier)) => {
            let of = |point: &FrontierPoint| match cost {
                Cost::Macs => point.macs as f64,
                _ => point.params as f64,
            };
            let points = frontier.points.iter();
            let point = |point: &FrontierPoint| Network {
                split: frontier.split.clone(),
                ..network(&point.label, of(point), point.top1, "frontier")
            };
            points.map(point).collect()
        }
    };
    let all = || dense.iter().chain(&sliced).chain(retrained.iter().flatten()).chain(&curve);

    let frame = Frame::inside([WIDTH, HEIGHT], [58.0, 12.0, 14.0, 44.0]);
    let x = Scale::from_zero(all().map(|network| network.cost), frame.across());
    let y = Scale::around(all().map(|network| network.top1), frame.up());
    let at = |network: &Network| (x.at(network.cost), y.at(network.top1));
    let name = |network: &Network| {
        let Network { label, state, top1, cost: amount, .. } = network;
        let amount = short(*amount);
        match *state {
            "dense" => format!("dense: top-1 {top1:.4}, {} {amount}", cost.name()),
            _ => format!("{label}, {state}: top-1 {top1:.4}, {} {amount}", cost.name()),
        }
    };
    let mut lines = Vec::new();
    let mut trace = |colour: &str, what: &str, networks: Vec<&Network>, is_dashed: bool| {
        let mut points: Vec<(f64, f64)> = networks.into_iter().map(at).collect();
        points.sort_by(|a, b| a.0.total_cmp(&b.0));
        if points.len() > 1 {
            let line = Line::new(colour.to_owned(), what.to_owned(), &points);
            lines.push(if is_dashed { line.dashed() } else { line });
        }
    };
    match curve.is_empty() {
        true => trace("faint", "right after slicing", sliced.iter().collect(), true),
        false => trace("faint", "frontier, right after slicing", curve.iter().collect(), true),
    }
    let caption = match curve.first().map(|network| network.split.as_str()) {
        None => cost.caption().to_owned(),
        Some(split) if split == SplitName::Test.name() => {
            format!("{} Dashed: the frontier, right after slicing.", cost.caption())
        }
        // Points and line are not of the same images.
        Some(split) => format!(
            "{} Dashed: the frontier, right after slicing, on the {split} split; the points are on the test split.",
            cost.caption()
        ),
    };
    trace("faint", "retrained", retrained.iter().flatten().collect(), false);

    let point = |colour: String, is_hollow: bool, network: &Network| {
        let (x, y) = at(network);
        Point { colour, is_hollow, x, y, name: name(network) }
    };
    let mut points: Vec<Point> =
        sliced.iter().enumerate().map(|(index, network)| point(colour(index), true, network)).collect();
    points.extend(
        retrained
            .iter()
            .enumerate()
            .filter_map(|(index, network)| Some(point(colour(index), false, network.as_ref()?))),
    );
    points.extend(dense.iter().map(|network| point("dense".to_owned(), false, network)));

    // The sub-networks have their colours: of retrained ones the labels would lie on each other.
    let label = |network: &Network| {
        let (x, y) = at(network);
        Label {
            colour: "dense".to_owned(),
            x: x - 9.0,
            y: y + 4.0,
            anchor: "end",
            text: network.label.clone(),
        }
    };

    let row = |network: &Network| {
        let Network { label, state, top1, cost, split } = network;
        [label.clone(), (*state).to_owned(), split.clone(), cost.to_string(), top1.to_string()]
    };
    let data = Download::csv(
        &format!("accuracy-{}", cost.name()),
        ["network", "state", "split", cost.name(), "top1"],
        all().map(row),
    )?;
    Ok(Figure {
        title: cost.title().to_owned(),
        caption,
        plot: Plot {
            width: WIDTH,
            height: HEIGHT,
            text: format!("{}: {}", cost.title(), all().map(name).collect::<Vec<_>>().join("; ")),
            frame,
            x: Axis { label: cost.axis().to_owned(), ticks: x.ticks(6), is_grid: false },
            y: Axis { label: "top-1".to_owned(), ticks: y.ticks(7), is_grid: true },
            lines,
            points,
            labels: dense.iter().map(label).collect(),
            ..Plot::default()
        },
        data,
    })
}
