//! Rules over more than one field. Each reads those fields alone, so that it is told beside mistakes in others.

use super::document::Document;
use super::error::ExperimentError;
use super::nearest::nearest;
use super::schema::{
    Budget, Count, Data, Importance, Keyed, NonNegative, Normalise, Positive, Rate, RoundTo, Schedule,
    SearchedDimension, default_batch, scaled,
};
use super::tree::{Node, Value};
use crate::data::Augment;
use crate::terminal::{counted, three_digits};

/// Every rule that `document` breaks, at its place.
pub(super) fn broken(document: &Document) -> Vec<ExperimentError> {
    let mut errors = Vec::new();
    for stage in ["pretrain", "search", "retrain"] {
        errors.extend(warmup(document, stage));
        errors.extend(two_warmups(document, stage));
        errors.extend(scaled_lr(document, &[stage, "optimizer", "lr"]));
        errors.extend(scaled_lr(document, &[stage, "masks", "lr"]));
        errors.extend(warmup_lr(document, stage));
        errors.extend(final_lr(document, stage));
        errors.extend(accumulate(document, stage));
        errors.extend(dense_teacher(document, stage));
        errors.extend(normalise_of_teacher(document, stage));
        errors.extend(augment(document, stage));
    }
    errors.extend(importance(document));
    errors.extend(devices(document));
    errors.extend(dimensions(document));
    errors.extend(budgets(document));
    errors.extend(round_to(document));
    errors
}

fn round_to(document: &Document) -> Option<ExperimentError> {
    let node = document.at(&["round_to"])?;
    let written: Option<RoundTo> = document.part(&["round_to"])?;
    let is_empty = matches!(written?, RoundTo::Keys(multiples) if multiples.is_empty());
    is_empty.then(|| {
        let error = ExperimentError::new(node.span.clone(), "`round_to` is empty: it names no dimension");
        error.with_help("write a multiple, for example `8`, or `{ \"hidden\": 32 }`")
    })
}

fn warmup(document: &Document, stage: &str) -> Option<ExperimentError> {
    let node = document.at(&[stage, "schedule", "warmup_epochs"])?;
    let all = document.at(&[stage, "epochs"])?;
    let warmup = document.part::<Option<NonNegative>>(&[stage, "schedule", "warmup_epochs"])??.get();
    let epochs = document.part::<Count>(&[stage, "epochs"])?.get();
    (warmup > epochs as f64).then(|| {
        let message = format!("the warm-up takes {warmup} epochs, but `{stage}` has {epochs} in all");
        ExperimentError::new(node.span.clone(), message).with_also(all.span.clone(), "all its epochs")
    })
}

fn two_warmups(document: &Document, stage: &str) -> Option<ExperimentError> {
    let written = |field| {
        let path = [stage, "schedule", field];
        document.part::<Option<NonNegative>>(&path).flatten().and_then(|_| document.at(&path))
    };
    let (epochs, steps) = (written("warmup_epochs")?, written("warmup_steps")?);
    let message = "the warm-up is written twice, in epochs and in steps: remove one";
    let error = ExperimentError::new(steps.span.clone(), message).with_label("again here");
    Some(error.with_also(epochs.span.clone(), "first here"))
}

/// A learning rate of a stage.
struct LearningRate<'a> {
    /// Where it is written.
    node: &'a Node,
    /// What it is at the batch of the stage.
    scaled: f64,
    /// What it is, and why.
    told: String,
}

/// The learning rate that is written at `path` in a stage.
fn lr<'a>(document: &'a Document, path: &[&str]) -> Option<LearningRate<'a>> {
    let node = document.at(path)?;
    let lr = document.part::<Option<Rate>>(path)??;
    let name = path[1..].join(".");
    let written = [path[0], "lr_of_batch"];
    let lr_of_batch = match document.at(&written) {
        Some(_) => document.part::<Option<Count>>(&written)?,
        None => None,
    };
    let Some(of_batch) = lr_of_batch else {
        return Some(LearningRate { node, scaled: lr.get(), told: format!("`{name}` is {:?}", lr.get()) });
    };
    let batch = batch(document, path[0])?;
    let scaled = scaled(lr, batch, lr_of_batch);
    let (batch, of_batch, rounded) = (batch.get(), of_batch.get(), three_digits(scaled));
    let told = format!("at a batch of {batch}, `{name}` {:?} for {of_batch} is {rounded:?}", lr.get());
    Some(LearningRate { node, scaled, told })
}

/// A rate that is written is at most 1, so that a slip is found; at a larger batch it may be more.
fn scaled_lr(document: &Document, path: &[&str]) -> Option<ExperimentError> {
    let LearningRate { node, scaled, told } = lr(document, path)?;
    let error = Positive::try_from(scaled).err()?;
    let lr_of_batch = document.at(&[path[0], "lr_of_batch"])?;
    let error = ExperimentError::new(lr_of_batch.span.clone(), format!("{told}: it {error}"));
    Some(error.with_also(node.span.clone(), "the learning rate"))
}

fn warmup_lr(document: &Document, stage: &str) -> Option<ExperimentError> {
    let node = document.at(&[stage, "schedule", "warmup_lr"])?;
    let schedule: Schedule = document.part(&[stage, "schedule"])?;
    let first = schedule.warmup_lr()?;
    // In a stage as long as may be.
    if schedule.warmup(1, u32::MAX as usize) == 0 {
        let message = "the warm-up has a first learning rate, but no steps";
        let error = ExperimentError::new(node.span.clone(), message);
        return Some(
            error.with_help("write how long it takes, as `warmup_epochs: 5`, or remove `warmup_lr`"),
        );
    }
    let LearningRate { node: lr, scaled, told } = lr(document, &[stage, "optimizer", "lr"])?;
    (first > scaled).then(|| {
        let message = format!("the learning rate cannot rise from {first:?}: {told}");
        let error =
            ExperimentError::new(node.span.clone(), message).with_also(lr.span.clone(), "the learning rate");
        error.with_help("write a `warmup_lr` of at most that")
    })
}

fn final_lr(document: &Document, stage: &str) -> Option<ExperimentError> {
    let node = document.at(&[stage, "schedule", "final_lr"])?;
    let Schedule::Cosine { final_lr, .. } = document.part(&[stage, "schedule"])? else { return None };
    let LearningRate { node: lr, scaled, told } = lr(document, &[stage, "optimizer", "lr"])?;
    (final_lr.get() > scaled).then(|| {
        let message = format!("the learning rate cannot fall to {:?}: {told}", final_lr.get());
        let error =
            ExperimentError::new(node.span.clone(), message).with_also(lr.span.clone(), "the learning rate");
        error.with_help("write a `final_lr` of at most that")
    })
}

/// The batch of a stage; `None` if it is written wrongly.
fn batch(document: &Document, stage: &str) -> Option<Count> {
    match (document.at(&[stage, "batch"]), &document.at(&[stage])?.value) {
        (Some(_), _) => document.part(&[stage, "batch"]),
        // A misspelt batch is not the default.
        (None, Value::Record { fields, .. }) => {
            let misspelt = fields.iter().any(|(name, _)| nearest(&name.text, ["batch"]).is_some());
            (!misspelt).then(default_batch)
        }
        _ => None,
    }
}

fn augment(document: &Document, stage: &str) -> Option<ExperimentError> {
    let path = [stage, "augment"];
    let node = document.at(&path)?;
    document.part::<Option<Augment>>(&path)??;
    let data: Data = document.part(&["data"])?;
    data.augment().is_none().then(|| {
        let message = format!("images of `{}` are not augmented", data.kind());
        ExperimentError::new(node.span.clone(), message).with_help("remove `augment`")
    })
}

fn accumulate(document: &Document, stage: &str) -> Option<ExperimentError> {
    let node = document.at(&[stage, "accumulate"])?;
    let parts = document.part::<Count>(&[stage, "accumulate"])?.get();
    let written = document.at(&[stage, "batch"]);
    let batch = batch(document, stage)?;
    let batch = batch.get();
    (parts > batch).then(|| {
        let images = counted(batch, "image", "images");
        let message = format!("a batch of {images} cannot be computed in {parts} parts");
        let error = ExperimentError::new(node.span.clone(), message);
        match written {
            Some(batch) => error.with_also(batch.span.clone(), "the batch"),
            None => error,
        }
    })
}

fn dense_teacher(document: &Document, stage: &str) -> Option<ExperimentError> {
    let node = document.at(&[stage, "teacher"]).filter(|node| node.name() == Some("Dense"))?;
    let help = "name a network: `teacher: (pretrained: \"runs/a/seed=1\")`";
    let message = match stage {
        "pretrain" => "the dense network cannot teach itself: `pretrain` trains it",
        _ if is_untrained(document) => {
            "the dense network is not trained, so it has nothing to teach: there is neither `pretrain` nor `pretrained` in `model`"
        }
        _ => return None,
    };
    Some(ExperimentError::new(node.head(), message).with_help(help))
}

/// Whether the dense network of `document` is as it was drawn.
fn is_untrained(document: &Document) -> bool {
    let is_written = |path: &[&str]| document.at(path).is_some_and(|node| node.value != Value::None);
    !is_written(&["pretrain"]) && !is_written(&["model", "pretrained"])
}

fn importance(document: &Document) -> Option<ExperimentError> {
    let node = document.at(&["importance"])?;
    let importance: Importance = document.part(&["importance"])?;
    (importance.looks_at_weights() && is_untrained(document)).then(|| {
        let message = format!(
            "the dense network is not trained, so `{}` has nothing to rank: there is neither `pretrain` nor `pretrained` in `model`",
            importance.name()
        );
        let help = "train it with `pretrain`, or name trained weights; `Random` ranks any network";
        ExperimentError::new(node.head(), message).with_help(help)
    })
}

fn normalise_of_teacher(document: &Document, stage: &str) -> Option<ExperimentError> {
    let path = [stage, "teacher", "normalise"];
    let node = document.at(&path)?;
    (document.part::<Option<Normalise>>(&path)?? == Normalise::Split).then(|| {
        let message = "the training split is the student's, and does not say how the teacher's images are normalised";
        let help = "leave `normalise` out: then it is that of the run that left the teacher, or else that of the data";
        ExperimentError::new(node.span.clone(), message).with_help(help)
    })
}

fn devices(document: &Document) -> Option<ExperimentError> {
    let node = document.at(&["devices"])?;
    let devices: Vec<String> = document.part(&["devices"])?;
    devices.is_empty().then(|| {
        ExperimentError::new(node.span.clone(), "`devices` is empty: a run needs at least one device")
            .with_help(
                "leave it out to choose on the command line, or write for example `[\"cuda:0\", \"cuda:1\"]`",
            )
    })
}

fn dimensions(document: &Document) -> Option<ExperimentError> {
    let path = ["search", "dimensions"];
    let node = document.at(&path)?;
    let dimensions: Keyed<SearchedDimension> = document.part(&path)?;
    dimensions.is_empty().then(|| {
        ExperimentError::new(
            node.span.clone(),
            "`dimensions` is empty: a search needs at least one dimension",
        )
        .with_help("for example `{ \"hidden\": (weight: 5e-5) }`")
    })
}

fn budgets(document: &Document) -> Vec<ExperimentError> {
    let Some(Node { value: Value::List(items), span }) = document.at(&["budgets"]) else {
        return Vec::new();
    };
    if items.is_empty() {
        let error = ExperimentError::new(span.clone(), "`budgets` is empty: at least one is needed");
        return vec![error.with_help("for example `[Share({ \"hidden\": 0.5 })]`")];
    }
    let mut errors = Vec::new();
    let mut before: Vec<(Budget, &Node)> = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let Some(budget) = document.part::<Budget>(&["budgets", &index.to_string()]) else { continue };
        if let Some(message) = hollow(&budget) {
            errors.push(ExperimentError::new(item.span.clone(), message));
        } else if let Some((_, first)) = before.iter().find(|(earlier, _)| earlier.is_same(&budget)) {
            let error = ExperimentError::new(item.span.clone(), "this budget is written twice");
            errors.push(error.with_label("again here").with_also(first.span.clone(), "first here"));
        }
        before.push((budget, item));
    }
    errors
}

/// Why `budget` is no budget.
fn hollow(budget: &Budget) -> Option<&'static str> {
    match budget {
        Budget::Share(shares) if shares.is_empty() => {
            Some("this budget is empty: it names no dimension to cut")
        }
        Budget::All(limits) if limits.is_empty() => {
            Some("this budget is empty: `All` needs at least one limit")
        }
        Budget::All(limits) => {
            let shares = limits.iter().filter(|limit| matches!(limit, Budget::Share(_))).count();
            let nested = limits.iter().any(|limit| matches!(limit, Budget::All(_)));
            let nested = nested.then_some("`All` within `All`: write all limits in one list");
            let count = |is: fn(&Budget) -> bool| limits.iter().filter(|limit| is(limit)).count();
            let again = "this budget limits the same twice: only the lower limit matters";
            let again = (count(|limit| matches!(limit, Budget::Macs(_))) > 1
                || count(|limit| matches!(limit, Budget::Params(_))) > 1)
                .then_some(again);
            let timed = (count(|limit| matches!(limit, Budget::Latency { .. })) > 1)
                .then_some("this budget has two `Latency`s: a network is cut for one batch");
            let thinned = (count(|limit| matches!(limit, Budget::Tokens { .. })) > 1)
                .then_some("this budget has two `Tokens`: write one number");
            let one = (limits.len() == 1).then_some("`All` with one limit: write the limit alone");
            let twice = (shares > 1).then_some("this budget has two `Share`s: write their keys in one");
            nested
                .or(twice)
                .or(again)
                .or(timed)
                .or(thinned)
                .or(one)
                .or_else(|| limits.iter().find_map(hollow))
        }
        _ => None,
    }
}
