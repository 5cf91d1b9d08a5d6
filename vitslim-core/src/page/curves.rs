//! How training went: losses, accuracies, learning rate, penalty and sparsity, epoch by epoch, through all stages.

use std::collections::BTreeMap;

use super::error::PageError;
use super::figure::{Axis, Download, Figure, Frame, Label, Line, Plot, Point, WIDTH, colour, spread};
use super::record::{self, name};
use super::scale::{Scale, Tick, short};

const HEIGHT: f64 = 260.0;

/// The stages of a run in their order.
const STAGES: [&str; 3] = ["pretrain", "search", "retrain"];

/// A line of a figure: what a stage measured, epoch by epoch.
struct Series {
    stage: String,
    subnet: Option<String>,
    /// `train` or `held_out`; or the name of a dimension.
    source: String,
    colour: String,
    is_dashed: bool,
    is_named: bool,
    /// Epochs of the stage, and values.
    values: Vec<(usize, f64)>,
}

impl Series {
    fn name(&self) -> String {
        let of = self.subnet.as_deref().map_or_else(String::new, |subnet| format!(" {subnet}"));
        let source = match self.source.as_str() {
            "train" => "training",
            "held_out" => "validation",
            other => other,
        };
        format!("{}{of}, {source}", self.stage)
    }
}

/// A figure for each value that was recorded, and for the share of masks that are closed. `labels` are those of the sub-networks, in
/// the order of their colours.
///
/// # Errors
///
/// When the numbers cannot be written.
pub(super) fn figures(epochs: &[record::Line], labels: &[&str]) -> Result<Vec<Figure>, PageError> {
    let mut figures = Vec::new();
    for value in names(epochs) {
        let (title, caption) = words(value);
        let series = series(epochs, value, labels);
        figures.extend(figure(value, title, caption, series, epochs)?);
    }
    let caption = "Share of the masks that are less than 0.05 away from 0.";
    figures.extend(figure("sparsity", "Sparsity", caption, sparsity(epochs), epochs)?);
    Ok(figures)
}

/// What a value is called in the record, those that every stage has first.
fn names(epochs: &[record::Line]) -> Vec<&str> {
    let mut names = vec!["loss", "top1", "learning_rate", "penalty"];
    for name in epochs.iter().flat_map(|line| line.train.keys().chain(line.held_out.keys())) {
        if !names.contains(&name.as_str()) {
            names.push(name);
        }
    }
    names
}

fn words(name: &str) -> (&str, &'static str) {
    match name {
        "loss" => ("Loss", "Of training images, without the penalty (dashed), and of the validation split."),
        "top1" => {
            ("Top-1", "On training images, augmented as for training (dashed), and on the validation split.")
        }
        "learning_rate" => {
            ("Learning rate", "At the end of each epoch; where layers differ, that of most parameters.")
        }
        "penalty" => ("Penalty", "The l1 penalty on the masks, mean of the epoch."),
        other => (other, "As in `metrics.jsonl`."),
    }
}

fn series(epochs: &[record::Line], name: &str, labels: &[&str]) -> Vec<Series> {
    let mut series: Vec<Series> = Vec::new();
    for line in epochs {
        for (source, values) in [("train", &line.train), ("held_out", &line.held_out)] {
            let Some(value) = values.get(name).copied().flatten() else { continue };
            let known = series.iter_mut().find(|series| {
                series.stage == line.stage && series.subnet == line.subnet && series.source == source
            });
            match known {
                Some(known) => known.values.push((line.epoch, value)),
                None => series.push(Series {
                    stage: line.stage.clone(),
                    subnet: line.subnet.clone(),
                    source: source.to_owned(),
                    colour: colour_of(line.subnet.as_deref(), labels),
                    is_dashed: source == "train"
                        && epochs.iter().any(|line| line.held_out.contains_key(name)),
                    is_named: false,
                    values: vec![(line.epoch, value)],
                }),
            }
        }
    }
    series
}

/// The colour of a sub-network; that of the dense network for what comes before one.
fn colour_of(subnet: Option<&str>, labels: &[&str]) -> String {
    let place = |label: &str| labels.iter().position(|known| *known == label).unwrap_or(labels.len());
    subnet.map_or_else(|| "dense".to_owned(), |label| colour(place(label)))
}

/// The share of masks that are closed, for each name of a dimension.
fn sparsity(epochs: &[record::Line]) -> Vec<Series> {
    let mut series: BTreeMap<&str, Vec<(usize, f64)>> = BTreeMap::new();
    for line in epochs {
        let mut closed: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
        for (path, masks) in &line.masks {
            let count = masks.histogram.counts.iter().sum::<usize>() as f64;
            let (sum, of) = closed.entry(name(path)).or_default();
            *sum += masks.closed * count;
            *of += count;
        }
        for (name, (sum, of)) in closed.into_iter().filter(|(_, (_, of))| *of > 0.0) {
            series.entry(name).or_default().push((line.epoch, sum / of));
        }
    }
    let of = |index: usize, name: &str, values| Series {
        stage: "search".to_owned(),
        subnet: None,
        source: name.to_owned(),
        // From the other end: these colours are no sub-networks.
        colour: colour(7 - index % 8),
        is_dashed: false,
        is_named: true,
        values,
    };
    series.into_iter().enumerate().map(|(index, (name, values))| of(index, name, values)).collect()
}

/// The figure of `series`; none if they have no value.
fn figure(
    file: &str,
    title: &str,
    caption: &str,
    series: Vec<Series>,
    epochs: &[record::Line],
) -> Result<Option<Figure>, PageError> {
    if series.is_empty() {
        return Ok(None);
    }
    // Of the stages that have the value, one behind the other.
    let stages: Vec<&str> =
        STAGES.into_iter().filter(|stage| series.iter().any(|series| series.stage == *stage)).collect();
    let length = |stage: &str| {
        let lines = epochs.iter().filter(|line| line.stage == stage);
        lines.map(|line| line.epoch).max().unwrap_or(0)
    };
    let start = |stage: &str| -> usize {
        stages.iter().take_while(|known| **known != stage).map(|stage| length(stage)).sum()
    };
    let all: usize = stages.iter().map(|stage| length(stage)).sum();

    let frame = Frame::inside([WIDTH, HEIGHT], [50.0, 12.0, 26.0, 42.0]);
    let x = Scale::between([0.0, all as f64], frame.across());
    let y =
        Scale::around(series.iter().flat_map(|series| &series.values).map(|(_, value)| *value), frame.up());
    let (mut lines, mut points, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for series in &series {
        let begin = start(&series.stage);
        let place = |(epoch, value): &(usize, f64)| (x.at((begin + epoch) as f64), y.at(*value));
        let places: Vec<(f64, f64)> = series.values.iter().map(place).collect();
        let line = Line::new(series.colour.clone(), series.name(), &places);
        lines.push(if series.is_dashed { line.dashed() } else { line });
        // A line of one epoch is none.
        if let ([(x, y)], [(epoch, value)]) = (places.as_slice(), series.values.as_slice()) {
            points.push(Point {
                colour: format!("{} small", series.colour),
                is_hollow: series.is_dashed,
                x: *x,
                y: *y,
                name: format!("{}, epoch {epoch}: {}", series.name(), short(*value)),
            });
        }
        if let Some((x, y)) = places.last().filter(|_| series.is_named) {
            let (colour, text) = (series.colour.clone(), series.source.clone());
            labels.push(Label { colour, x: *x - 4.0, y: *y - 7.0, anchor: "end", text });
        }
    }
    spread(&mut labels, frame);
    let ends = series.iter().filter_map(|series| {
        let (epoch, value) = series.values.last()?;
        Some(format!("{}: {} after epoch {epoch}", series.name(), short(*value)))
    });
    let text = format!("{title}. {}", ends.collect::<Vec<_>>().join("; "));
    let rows = series.iter().flat_map(|series| {
        series.values.iter().map(|(epoch, value)| {
            let subnet = series.subnet.clone().unwrap_or_default();
            [series.stage.clone(), subnet, series.source.clone(), epoch.to_string(), value.to_string()]
        })
    });
    let data = Download::csv(file, ["stage", "subnet", "source", "epoch", file], rows)?;
    let rule = |stage: &&str| Tick { at: x.at(start(stage) as f64), label: (*stage).to_owned() };
    Ok(Some(Figure {
        title: title.to_owned(),
        caption: caption.to_owned(),
        plot: Plot {
            width: WIDTH,
            height: HEIGHT,
            text,
            frame,
            x: Axis { label: "epoch".to_owned(), ticks: x.whole_ticks(8), is_grid: false },
            y: Axis { label: String::new(), ticks: y.ticks(6), is_grid: true },
            rules: stages.iter().map(rule).collect(),
            lines,
            points,
            labels,
            ..Plot::default()
        },
        data,
    }))
}
