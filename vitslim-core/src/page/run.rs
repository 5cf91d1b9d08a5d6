//! The page of a run.

use std::path::Path;

use serde::Serialize;

use super::error::PageError;
use super::figure::{Download, Figure, colour};
use super::files::RunFiles;
use super::render::render;
use super::samples::samples;
use super::shape::shapes;
use super::tokens::{Tokens, tokens};
use super::{accuracy, curves, masks};
use crate::experiment::{Document, Training};
use crate::report::{DenseSummary, RunState, written};
use crate::run::EXPERIMENT;

/// What the template shows.
#[derive(Serialize)]
struct RunPage {
    title: String,
    name: String,
    trial: String,
    state: &'static str,
    failure: Option<String>,
    asked: Asked,
    dense: Option<DenseSummary>,
    /// Where the dense network comes from, if another run left it.
    start: Option<String>,
    top1_soft: Option<f64>,
    networks: Vec<Row>,
    /// The sub-network with the highest top-1.
    best: Option<usize>,
    accuracy: Vec<Figure>,
    looks: Vec<Look>,
    samples: Vec<String>,
    /// Why there are no images.
    no_samples: Option<String>,
    curves: Vec<Figure>,
    made: Made,
}

/// What the experiment asks for.
#[derive(Serialize)]
struct Asked {
    architecture: String,
    config: Option<String>,
    start: Option<String>,
    data: String,
    classes: Option<usize>,
    /// Training, validation and test images.
    images: Option<[usize; 3]>,
    stages: Vec<StageRow>,
    /// Whether masks are trained.
    searches: bool,
    dimensions: Vec<DimensionRow>,
    /// What the units are ranked by, and how those of different keys compare.
    importance: String,
    ranking: String,
    /// What becomes of the values of masks that are kept.
    cut: String,
    /// What else decides what is cut, where it is written: names of fields and what they say.
    spared: Vec<(&'static str, String)>,
    is_corrected: bool,
    /// Names of stages and their teachers.
    teachers: Vec<(&'static str, String)>,
    budgets: Vec<String>,
}

/// A stage of training.
#[derive(Serialize)]
struct StageRow {
    name: &'static str,
    epochs: usize,
    batch: usize,
    lr: f64,
    optimizer: String,
    schedule: String,
}

/// A searched dimension.
#[derive(Serialize)]
struct DimensionRow {
    key: String,
    weight: f64,
    granularity: String,
    activation: String,
}

/// A sub-network in the table.
#[derive(Serialize)]
struct Row {
    label: String,
    colour: String,
    is_later: bool,
    params: usize,
    macs: u64,
    /// Of the dense network's parameters and multiply-adds, if those are known.
    share_params: Option<f64>,
    share_macs: Option<f64>,
    top1_sliced: f64,
    top1_retrained: Option<f64>,
    top1: f64,
    images_per_second: f64,
    speedup: f64,
    masked_vs_sliced: f64,
    /// Where it was timed, if that is not the device of the run.
    device: Option<String>,
    /// How long it takes, where its budget limits that.
    latency: Option<String>,
    /// Names of dimensions and the shares of them that are left.
    kept: Vec<(String, String)>,
}

/// What is left of the dimensions of one name.
#[derive(Serialize)]
struct Look {
    name: String,
    tokens: Vec<Tokens>,
    figures: Vec<Figure>,
}

/// What it takes to make the run again.
#[derive(Serialize)]
struct Made {
    version: Option<String>,
    device: Option<String>,
    seed: u64,
    /// Names of stages and the seconds that each took.
    seconds: Vec<(&'static str, f64)>,
    /// Names of splits and their fingerprints.
    fingerprints: Vec<(&'static str, String)>,
    experiment: String,
    file: Download,
    summary: Option<Download>,
}

/// The page of the run in `folder`: of what is there, if the run is not complete.
///
/// # Errors
///
/// When it is not the folder of a run, or a file in it cannot be read or understood.
pub fn run_page(folder: &Path) -> Result<String, PageError> {
    render("run.html", &page(&RunFiles::read(folder)?)?)
}

fn page(files: &RunFiles) -> Result<RunPage, PageError> {
    let (summary, subnets) = (files.summary.as_ref(), &files.subnets);
    let experiment = &files.trial.experiment;
    let name = experiment.name.as_str().to_owned();
    let trial = files.trial.swept.clone().unwrap_or_default();
    let dense = summary.map(|summary| summary.dense.clone());
    let labels: Vec<&str> = subnets.iter().map(|subnet| subnet.summary.label.as_str()).collect();
    let tokens = tokens(subnets)?;
    let (samples, no_samples) = match tokens.is_empty() {
        true => (Vec::new(), None),
        false => match samples(&files.trial, &files.folder) {
            Ok(samples) => (samples, None),
            Err(reason) => (Vec::new(), Some(reason)),
        },
    };
    let networks = rows(files, dense.as_ref());
    let best = (0..networks.len()).max_by(|&a, &b| networks[a].top1.total_cmp(&networks[b].top1));
    Ok(RunPage {
        title: format!("{name} {trial} · vitslim"),
        state: files.state.name(),
        failure: files.failure.clone().filter(|_| files.state == RunState::Failed),
        asked: asked(files),
        start: summary.and_then(|summary| summary.start.clone()),
        top1_soft: summary.and_then(|summary| Some(summary.search.as_ref()?.top1_soft)),
        best,
        networks,
        accuracy: accuracy::figures(dense.as_ref(), subnets, files.frontier.as_ref())?,
        looks: looks(files, tokens)?,
        samples,
        no_samples,
        curves: curves::figures(&files.epochs, &labels)?,
        made: made(files),
        name,
        trial,
        dense,
    })
}

/// What is left of each dimension, and how its masks spread.
fn looks(files: &RunFiles, tokens: Vec<Tokens>) -> Result<Vec<Look>, PageError> {
    let shape = |(name, figures)| Look { name, tokens: Vec::new(), figures };
    let mut looks: Vec<Look> = shapes(&files.subnets)?.into_iter().map(shape).collect();
    if let Some(first) = tokens.first() {
        looks.push(Look { name: first.name.clone(), tokens, figures: Vec::new() });
    }
    for (name, masks) in masks::figures(&files.epochs)? {
        match looks.iter_mut().find(|look| look.name == name) {
            Some(look) => look.figures.push(masks),
            None => looks.push(Look { name, tokens: Vec::new(), figures: vec![masks] }),
        }
    }
    Ok(looks)
}

fn asked(files: &RunFiles) -> Asked {
    let experiment = &files.trial.experiment;
    let document = &files.trial.document;
    let searched = experiment.search_training();
    let stages = [
        ("pretrain", experiment.pretrain.as_ref()),
        ("search", searched.as_ref()),
        ("retrain", experiment.retrain.as_ref()),
    ];
    let stage = |(name, training): (&'static str, Option<&Training>)| {
        let training = training?;
        Some(StageRow {
            name,
            epochs: training.epochs.get(),
            batch: training.batch.get(),
            lr: training.lr(),
            optimizer: kind(document, &[name, "optimizer"]),
            schedule: kind(document, &[name, "schedule"]),
        })
    };
    let dimension = |(key, searched): (&str, &crate::experiment::SearchedDimension)| DimensionRow {
        key: key.to_owned(),
        weight: searched.weight.get(),
        granularity: format!("{:?}", searched.granularity),
        activation: format!("{:?}", searched.activation),
    };
    let teachers =
        experiment.teachers().filter_map(|(stage, _)| Some((stage, at(document, &[stage, "teacher"])?)));
    let spared = [
        ("keep_at_least", !experiment.keep_at_least.is_empty()),
        ("protect", !experiment.protect.is_empty()),
        ("round_to", experiment.round_to.is_some()),
    ];
    let spared = spared.into_iter().filter(|(_, is_written)| *is_written);
    let spared = spared.filter_map(|(field, _)| Some((field, at(document, &[field])?)));
    let content = files.data.as_ref().map(|data| &data.content);
    Asked {
        architecture: experiment.model.architecture.clone(),
        config: at(document, &["model", "config"]),
        start: files.start.clone(),
        data: at(document, &["data"]).unwrap_or_default(),
        classes: content.map(|content| content.classes.len()),
        images: content.map(|content| [content.train.images, content.held_out.images, content.test.images]),
        stages: stages.into_iter().filter_map(stage).collect(),
        searches: searched.is_some(),
        dimensions: experiment.search.dimensions.iter().map(dimension).collect(),
        importance: at(document, &["importance"]).unwrap_or_else(|| experiment.importance.name().to_owned()),
        ranking: format!("{:?}", experiment.ranking),
        cut: format!("{:?}", experiment.cut),
        spared: spared.collect(),
        is_corrected: experiment.correct,
        teachers: teachers.collect(),
        budgets: (0..experiment.budgets.len())
            .filter_map(|index| at(document, &["budgets", &index.to_string()]))
            .collect(),
    }
}

/// What the experiment says at `path`, on one line, without what says that it is there.
fn at(document: &Document, path: &[&str]) -> Option<String> {
    let text = document.at(path)?.to_string();
    match text.strip_prefix("Some(").and_then(|rest| rest.strip_suffix(')')) {
        Some(inner) => Some(inner.to_owned()),
        None => Some(text).filter(|text| text != "None"),
    }
}

/// The name of the variant at `path`: `AdamW`.
fn kind(document: &Document, path: &[&str]) -> String {
    let text = at(document, path).unwrap_or_default();
    text.split(['(', '{']).next().unwrap_or_default().to_owned()
}

fn rows(files: &RunFiles, dense: Option<&DenseSummary>) -> Vec<Row> {
    let row = |(index, subnet): (usize, &super::files::Subnet)| {
        let summary = &subnet.summary;
        let kept = summary.kept.iter().map(|(name, share)| match share.as_f64() {
            Some(share) => (name.clone(), format!("{share:.3}")),
            None => (name.clone(), written(Some(share))),
        });
        Row {
            label: summary.label.clone(),
            colour: colour(index),
            is_later: subnet.is_later,
            params: summary.params,
            macs: summary.macs,
            share_params: dense.map(|dense| summary.params as f64 / dense.params.max(1) as f64),
            share_macs: dense.map(|dense| summary.macs as f64 / dense.macs.max(1) as f64),
            top1_sliced: summary.top1_sliced,
            top1_retrained: summary.top1_retrained,
            top1: subnet.top1(),
            images_per_second: summary.images_per_second,
            speedup: summary.speedup,
            masked_vs_sliced: summary.masked_vs_sliced,
            device: subnet.device.clone().filter(|device| files.device() != Some(device)),
            latency: summary.latency.as_ref().map(ToString::to_string),
            kept: kept.collect(),
        }
    };
    files.subnets.iter().enumerate().map(row).collect()
}

fn made(files: &RunFiles) -> Made {
    let content = files.data.as_ref().map(|data| &data.content);
    let splits = content.map(|content| {
        [("training", &content.train), ("validation", &content.held_out), ("test", &content.test)]
    });
    let seconds = files.summary.as_ref().map(|summary| {
        let seconds = summary.seconds;
        [("pretrain", seconds.pretrain), ("search", seconds.search), ("retrain", seconds.retrain)]
    });
    let seconds = seconds.into_iter().flatten().filter_map(|(stage, seconds)| Some((stage, seconds?)));
    let summary = files.summary.as_ref().and_then(|summary| serde_json::to_string_pretty(summary).ok());
    Made {
        version: files.data.as_ref().and_then(|data| data.version.clone()),
        device: files.device().map(str::to_owned),
        seed: files.trial.experiment.seed,
        seconds: seconds.collect(),
        fingerprints: splits
            .into_iter()
            .flatten()
            .map(|(split, content)| (split, content.sha256.clone()))
            .collect(),
        experiment: files.experiment.clone(),
        file: Download::new(EXPERIMENT.to_owned(), "text/plain", &files.experiment),
        summary: summary.map(|text| Download::new("summary.json".to_owned(), "application/json", &text)),
    }
}
