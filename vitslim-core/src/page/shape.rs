//! What the networks look like: the units that are left in each layer, and in each head.

use super::error::PageError;
use super::figure::{Axis, Cell, Download, Figure, Frame, Line, Plot, Point, WIDTH, colour};
use super::files::Subnet;
use super::record::{name, place};
use super::scale::{Scale, Tick};
use crate::slim::Cut;

/// Height of a layer.
const ROW: f64 = 18.0;

/// Width of a head.
const COLUMN: f64 = 28.0;

/// Pixels of a letter in a label of an axis, at most.
const LETTER: f64 = 6.4;

/// For each name of a dimension that one of `subnets` cut, what is left of it: a heat map for each sub-network if it is grouped, and one
/// figure for all of them if not. Token gates are not among them.
///
/// # Errors
///
/// When the numbers cannot be written.
pub(super) fn shapes(subnets: &[Subnet]) -> Result<Vec<(String, Vec<Figure>)>, PageError> {
    let cuts = || subnets.iter().flat_map(|subnet| subnet.plan.cuts.iter().map(move |cut| (subnet, cut)));
    let is_cut = |named: &str| {
        cuts().any(|(subnet, cut)| {
            name(&cut.dimension) == named && cut.keep.len() < cut.units() && !subnet.is_gate(&cut.dimension)
        })
    };
    let mut names: Vec<&str> = Vec::new();
    for (_, cut) in cuts() {
        if !names.contains(&name(&cut.dimension)) {
            names.push(name(&cut.dimension));
        }
    }
    let shape = |named: &str| {
        let of = |subnet: &Subnet| -> Vec<Cut> {
            let cuts = subnet.plan.cuts.iter();
            cuts.filter(|cut| name(&cut.dimension) == named).cloned().collect()
        };
        let is_grouped = subnets.iter().flat_map(of).any(|cut| cut.of.len() > 1);
        let figures = match is_grouped {
            true => subnets.iter().map(|subnet| by_group(named, subnet, &of(subnet))).collect(),
            false => by_layer(named, subnets, of).map(|figure| vec![figure]),
        };
        Ok((named.to_owned(), figures?))
    };
    names.into_iter().filter(|name| is_cut(name)).map(shape).collect()
}

/// Pixels for the longest of `labels`.
fn width_of<'a>(labels: impl IntoIterator<Item = &'a str>) -> f64 {
    let longest = labels.into_iter().map(|label| label.chars().count()).max().unwrap_or(0);
    16.0 + LETTER * longest as f64
}

/// A heat map of one sub-network: a row for each layer, a column for each head.
fn by_group(name: &str, subnet: &Subnet, cuts: &[Cut]) -> Result<Figure, PageError> {
    let label = &subnet.summary.label;
    let groups = cuts.iter().map(|cut| cut.of.len()).max().unwrap_or(0);
    let left = width_of(cuts.iter().map(|cut| place(&cut.dimension)));
    let size = [left + COLUMN * groups as f64 + 8.0, ROW * cuts.len() as f64 + 48.0];
    let frame = Frame::inside(size, [left, 8.0, 8.0, 40.0]);
    let row = |index: usize| frame.top + ROW * index as f64;
    let counts: Vec<Vec<(usize, usize)>> = cuts
        .iter()
        .map(|cut| cut.by_group().iter().map(Vec::len).zip(cut.of.iter().copied()).collect())
        .collect();
    let of_layers = || cuts.iter().zip(&counts).enumerate();
    let cells = of_layers().flat_map(|(index, (cut, counts))| {
        counts.iter().enumerate().map(move |(group, &(kept, of))| Cell {
            x: frame.left + COLUMN * group as f64 + 1.0,
            y: row(index) + 1.0,
            width: COLUMN - 2.0,
            height: ROW - 2.0,
            strength: kept as f64 / of.max(1) as f64,
            name: format!("{}, group {group}: {kept} of {of} are left", place(&cut.dimension)),
            text: kept.to_string(),
        })
    });
    let rows = of_layers().flat_map(|(_, (cut, counts))| {
        counts.iter().enumerate().map(move |(group, (kept, of))| {
            [cut.dimension.clone(), group.to_string(), kept.to_string(), of.to_string()]
        })
    });
    let layer = |(index, cut): (usize, &Cut)| Tick {
        at: row(index) + ROW / 2.0,
        label: place(&cut.dimension).to_owned(),
    };
    let column =
        |group: usize| Tick { at: frame.left + COLUMN * (group as f64 + 0.5), label: group.to_string() };
    let kept: usize = cuts.iter().map(|cut| cut.keep.len()).sum();
    let units: usize = cuts.iter().map(Cut::units).sum();
    Ok(Figure {
        title: label.clone(),
        caption: format!(
            "{kept} of {units} are left; the stronger the colour, the larger the share of the group."
        ),
        data: Download::csv(&format!("{name}-{label}"), ["dimension", "group", "kept", "of"], rows)?,
        plot: Plot {
            width: size[0],
            height: size[1],
            text: format!("{name} that {label} keeps in each group of each layer: {kept} of {units}"),
            frame,
            x: Axis {
                label: "group (head)".to_owned(),
                ticks: (0..groups).map(column).collect(),
                is_grid: false,
            },
            y: Axis {
                label: String::new(),
                ticks: cuts.iter().enumerate().map(layer).collect(),
                is_grid: false,
            },
            cells: cells.collect(),
            ..Plot::default()
        },
    })
}

/// The units that are left in each layer: a row for each layer, a line for each sub-network, and a dashed one for the dense network.
fn by_layer(name: &str, subnets: &[Subnet], of: impl Fn(&Subnet) -> Vec<Cut>) -> Result<Figure, PageError> {
    let cuts: Vec<Vec<Cut>> = subnets.iter().map(of).collect();
    let layers = cuts.iter().max_by_key(|cuts| cuts.len()).map_or(&[][..], Vec::as_slice);
    let left = width_of(layers.iter().map(|cut| place(&cut.dimension)));
    let size = [left + (WIDTH - left).max(220.0), ROW * layers.len() as f64 + 56.0];
    let frame = Frame::inside(size, [left, 14.0, 8.0, 44.0]);
    let x = Scale::from_zero(layers.iter().map(|cut| cut.units() as f64), frame.across());
    let row = |index: usize| frame.top + ROW * (index as f64 + 0.5);
    let along = |count: usize, index: usize| (x.at(count as f64), row(index));
    let dense: Vec<(f64, f64)> =
        layers.iter().enumerate().map(|(index, cut)| along(cut.units(), index)).collect();
    let mut lines = vec![Line::new("dense".to_owned(), "dense".to_owned(), &dense).dashed()];
    let mut points = Vec::new();
    let mut rows = Vec::new();
    for (number, (subnet, cuts)) in subnets.iter().zip(&cuts).enumerate() {
        let label = &subnet.summary.label;
        let mut line = Vec::new();
        for (index, layer) in layers.iter().enumerate() {
            let Some(cut) = cuts.iter().find(|cut| cut.dimension == layer.dimension) else { continue };
            let (kept, units) = (cut.keep.len(), cut.units());
            let (x, y) = along(kept, index);
            line.push((x, y));
            let name = format!("{label}, {}: {kept} of {units} are left", place(&cut.dimension));
            points.push(Point { colour: colour(number), is_hollow: false, x, y, name });
            rows.push([label.clone(), cut.dimension.clone(), kept.to_string(), units.to_string()]);
        }
        lines.push(Line::new(colour(number), label.clone(), &line));
    }
    let tick = |(index, cut): (usize, &Cut)| Tick { at: row(index), label: place(&cut.dimension).to_owned() };
    let told = subnets.iter().zip(&cuts).map(|(subnet, cuts)| {
        let kept: Vec<String> = cuts.iter().map(|cut| cut.keep.len().to_string()).collect();
        format!("{}: {}", subnet.summary.label, kept.join(", "))
    });
    Ok(Figure {
        title: format!("{name} in each layer"),
        caption: "Units that are left, in the colours of the sub-networks; dashed is the dense network."
            .to_owned(),
        data: Download::csv(name, ["network", "dimension", "kept", "of"], rows)?,
        plot: Plot {
            width: size[0],
            height: size[1],
            text: format!("{name} that are left in each layer. {}", told.collect::<Vec<_>>().join("; ")),
            frame,
            x: Axis { label: name.to_owned(), ticks: x.ticks(7), is_grid: true },
            y: Axis {
                label: String::new(),
                ticks: layers.iter().enumerate().map(tick).collect(),
                is_grid: true,
            },
            lines,
            points,
            ..Plot::default()
        },
    })
}
